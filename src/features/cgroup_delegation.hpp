/// A cgroup that the container manages itself: its own, where it has it mounted writable in a
/// cgroup namespace of its own, and the annotation run.oci.delegate-cgroup, which names one below
/// it to live in (cgroup-v2.rst, "Delegation"). By the parent, after init was born and before it
/// goes.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "features/cgroup.hpp"
#include "features/explain.hpp"
#include "features/id_map.hpp"
#include "features/mounts.hpp"
#include "features/namespaces.hpp"
#include "host/host.hpp"
#include "sys/fd.hpp"

namespace tare::cgroup_delegation {

inline constexpr const char* kAnnotation = "run.oci.delegate-cgroup";
inline constexpr const char* kScopeAnnotation = "run.oci.systemd.subgroup";

/// The cgroup below the container's that its annotations name, as they write it, or empty; in a
/// scope of systemd's either annotation does. Pure.
std::string subgroup_of(const std::map<std::string, std::string>& annotations, bool in_scope);

struct Plan {
  /// Whose the container's cgroup becomes, as the container numbers users, as with runc: the user
  /// of its process.
  bool delegates_own = false;
  uid_t uid = 0;
  /// The cgroup below the container's that its process is put into, "a/b", or empty. The limits
  /// stay on the container's own, which is then not delegated.
  std::string subgroup{};
  /// The container makes cgroups of its own, and is to have every controller for them that can be
  /// had; in a scope, systemd sees to it (Delegate=).
  bool wants_controllers = false;
  bool operator==(const Plan&) const = default;
  bool enabled() const noexcept { return delegates_own || !subgroup.empty(); }
};

/// What delegation follows from.
struct Context {
  const std::map<std::string, std::string>& annotations;
  const mounts::Spec& mounts;
  const namespaces::Plan& namespaces;
  const cgroup::Plan& cgroup;
  uid_t uid = 0;  ///< of the container's process, in its user namespace
};

/// A caller who is not root owns what cgroups it has, and can give them to nobody else. Throws
/// Error(spec) for an annotation that leads out of the container's cgroup, or that the
/// container has none for.
Plan plan(const Context& context, const Host& host);
/// Has the cgroups above the container's pass controllers on; before anything lives in it.
void prepare_in_parent(const Plan& plan, const cgroup::Plan& cgroup);
/// Hands over the cgroup `directory`, or the one below it with process `pid` in it. `ids` are the
/// maps of the container's user namespace, empty where it has none. Throws Error(system).
void apply_in_parent(const Plan& plan, const sys::Fd& directory, const id_map::Plan& ids,
                     pid_t pid);
/// Removes the cgroup below `directory` that has been made, once nobody is in it.
void undo(const Plan& plan, const std::string& directory);
/// One effect where something is delegated.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::cgroup_delegation
