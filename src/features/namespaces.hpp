/// linux.namespaces: which namespaces the container gets new, which it joins by path
/// (config-linux.md, "Namespaces"). New ones come from the one clone3 of its init; paths are opened
/// by the parent and joined by init, or by the joiner where a user or pid namespace is among them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::namespaces {

enum class Type { user, mount, pid, network, ipc, uts, cgroup, time };

/// The name of the specification: "pid", "network", …
std::string_view to_string(Type type) noexcept;
/// The CLONE_NEW* bit of a type.
std::uint64_t clone_flag(Type type) noexcept;

struct Entry {
  Type type;
  std::string path{};     ///< empty for a new namespace
  std::string pointer{};  ///< "/linux/namespaces/2"
  bool operator==(const Entry&) const = default;
};

struct Spec {
  std::vector<Entry> entries{};
};

struct Plan {
  std::uint64_t create = 0;   ///< CLONE_NEW* bits of the new ones
  std::vector<Entry> join{};  ///< the ones with a path, in the order in which they must be joined
  bool operator==(const Plan&) const = default;

  /// Whether there is a new one of this type.
  bool creates(Type type) const noexcept;
  /// Whether one of this type is joined by path.
  bool joins(Type type) const noexcept;
  /// New or joined: not the runtime's own.
  bool has(Type type) const noexcept { return creates(type) || joins(type); }
  /// CLONE_NEW* bits of everything that is not the runtime's own; what exec joins.
  std::uint64_t all() const noexcept;
  /// A user or pid namespace by path, or any path together with a new user namespace, takes effect
  /// only in a child of the process that joins: a joiner then stands between parent and init.
  bool needs_joiner() const noexcept;
};

/// Reads linux.namespaces. Throws Error(spec): unknown type, duplicate ("malformed spec file:
/// duplicated ns ..."), relative path.
Spec read(const spec::Reader& linux_object);
/// Sorts new ones from joined ones, and these into the order in which the caller may join them.
Plan plan(const Spec& spec, const Host& host);

/// A namespace file, opened and known to be of the right type.
struct Target {
  Type type;
  sys::Fd file;
};

/// Opens the paths, in order, without blocking on anything that is no namespace file, and checks
/// each one's type (NS_GET_NSTYPE). Throws Error(spec or system) naming the field.
std::vector<Target> open_in_parent(const Plan& plan);
/// Joins them, in order. Throws Error(system).
void join(const std::vector<Target>& targets);
/// Brings up `lo` in a new network namespace, as runc and crun do. `network` is a socket in it: the
/// parent has the time for this that init has not. Throws Error(system).
void apply_in_parent(sys::FdRef network);

/// One effect for each namespace, and for what follows from it.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::namespaces
