/// The directory of all containers' state (--root): one directory for each container, claimed by
/// mkdir, locked by flock, holding `intent` (written once, before anything else is made), `state`
/// (written by rename), `gate` (the start gate) and `seccomp` (the filter, for exec).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"
#include "tare/record.hpp"
#include "tare/runtime.hpp"

namespace tare::state {

/// Throws Error(usage) "invalid container ID format" for anything that may not be an id:
/// [A-Za-z0-9_+.-]+, not "." or "..", at most 255 bytes.
void check_id(const std::string& id);

/// One container's directory, held open and, where it is changed, locked.
class ContainerDirectory {
 public:
  ContainerDirectory(sys::Fd directory, std::string path) noexcept
      : directory_(std::move(directory)), path_(std::move(path)) {}

  sys::FdRef fd() const noexcept { return directory_; }
  const std::string& path() const noexcept { return path_; }

  void write_intent(const Intent& intent) const;
  void write_record(const Record& record) const;
  /// nullopt where there is none; Error(state) where it is damaged.
  std::optional<Intent> find_intent() const;
  std::optional<Record> find_record() const;
  void write_seccomp(std::string_view filter) const;
  std::string read_seccomp() const;
  /// Removes every file of the container and then the directory itself. Idempotent.
  void remove() const;

 private:
  sys::Fd directory_;
  std::string path_;
};

enum class Lock { shared, exclusive, none };

class Store {
 public:
  /// Nothing is touched yet. `root` is absolute.
  explicit Store(const GlobalOptions& options);

  /// Claims a new id: makes the root (0700) and the directory, and locks it.
  /// Error(state) "container with given ID already exists".
  ContainerDirectory claim(const std::string& id) const;
  /// Opens an existing one; Error(state) "container does not exist". A lock is awaited for at most
  /// some seconds, then "container is busy"; after locking, the name still means what was opened.
  ContainerDirectory open(const std::string& id, Lock lock) const;
  /// As open, but nullopt where there is none.
  std::optional<ContainerDirectory> find(const std::string& id, Lock lock) const;
  /// The ids present, sorted. A missing root is an empty list, unless --root named it.
  std::vector<std::string> ids() const;
  /// The directory for compiled seccomp filters, made where missing.
  sys::Fd seccomp_cache() const;

 private:
  sys::Fd open_root(bool make) const;
  std::string root_;
  bool root_given_;
};

}  // namespace tare::state
