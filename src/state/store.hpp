/// The directory of all containers' state (--root): one directory for each container, claimed by
/// mkdir, locked by flock, holding `intent` (written once, before anything else is made), `state`
/// (written by rename), `gate` (the start gate) and `seccomp` (the filter, for exec).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"
#include "sys/lock.hpp"
#include "tare/record.hpp"
#include "tare/runtime.hpp"

namespace tare::state {

/// Throws Error(usage) "invalid container ID format" for anything that may not be an id:
/// [A-Za-z0-9_+.-]+, not "." or "..", at most 255 bytes.
void check_id(const std::string& id);

/// Which boot whatever lies in `directory` has to be of (/proc/sys/kernel/random/boot_id) if what
/// it says of processes and cgroups is to be believed; nullopt on a filesystem in memory, as /run
/// is by rule (file-hierarchy(7)), where it can be of no other boot than this. Throws
/// Error(system).
std::optional<std::string> boot_of(sys::FdRef directory);

/// One container's directory, held open and, where it is changed, locked.
class ContainerDirectory {
 public:
  /// `path` is absolute, and its last component the container's id.
  ContainerDirectory(sys::Fd directory, std::string path, sys::HeldLock lock = {}) noexcept
      : directory_(std::move(directory)), path_(std::move(path)), lock_(std::move(lock)) {}

  sys::FdRef fd() const noexcept { return directory_; }
  const std::string& path() const noexcept { return path_; }

  /// Lets other commands change the container, before this object goes: a foreground run lasts. The
  /// lock is shared by every child that inherited fd(), and given up for all of them.
  void unlock() noexcept { lock_.release(); }
  /// Locks it once more, exclusively. False where the container was removed meanwhile: the name may
  /// by now be another's. Throws as Store::open does.
  bool lock_again();

  /// Written once. Throws Error(system) EEXIST the second time.
  void write_intent(const Intent& intent) const;
  /// Replaces the record as a whole: a reader sees the old or the new one. By who holds the lock.
  void write_record(const Record& record) const;
  /// The two steps of write_record: until the second, nobody sees anything of the first.
  void prepare_record(const Record& record) const;
  void publish_record() const;
  /// nullopt where there is none; Error(state) where it is damaged.
  std::optional<Intent> find_intent() const;
  std::optional<Record> find_record() const;
  /// The filter that exec loads as well. read_seccomp throws Error(state) where there is none.
  void write_seccomp(std::string_view filter) const;
  std::string read_seccomp() const;
  /// Removes every file of the container and then the directory itself. Idempotent.
  void remove() const;

 private:
  void check_name(const std::string& id, const char* file) const;

  sys::Fd directory_;
  std::string path_;
  sys::HeldLock lock_;  // after directory_, so that it goes first
};

enum class Lock { shared, exclusive, none };

class Store {
 public:
  /// Nothing is touched yet. `root` is absolute.
  explicit Store(const GlobalOptions& options);

  /// Claims a new id: makes the root (0700, sticky) and the directory, and locks it.
  /// Error(state) "container with given ID already exists".
  ContainerDirectory claim(const std::string& id) const;
  /// Opens an existing one; Error(state) "container does not exist". A lock is awaited for at most
  /// some seconds, then "container is busy"; after locking, the name still means what was opened.
  ContainerDirectory open(const std::string& id, Lock lock) const;
  /// As open, but nullopt where there is none.
  std::optional<ContainerDirectory> find(const std::string& id, Lock lock) const;
  /// The root itself, open and checked, for what looks at all containers. A missing root is
  /// nullopt, unless --root named it.
  std::optional<sys::Fd> root_to_list() const;
  /// The ids present in the root, sorted.
  static std::vector<std::string> ids(sys::FdRef root);
  /// As open, in the root that was opened before, and without a lock.
  ContainerDirectory open_in(sys::FdRef root, const std::string& id) const;
  /// The directory for compiled seccomp filters, made where missing.
  sys::Fd seccomp_cache() const;

 private:
  std::optional<sys::Fd> find_root() const;
  sys::Fd make_root() const;
  std::optional<ContainerDirectory> find_in(sys::FdRef root, const std::string& id,
                                            Lock lock) const;

  std::string root_;
  bool root_given_;
};

}  // namespace tare::state
