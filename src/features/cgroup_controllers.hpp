/// Passing controllers on to a cgroup from the ones above it (cgroup-v2.rst, "Controlling
/// Controllers"). In the parent, and only where a limit's file is not there yet.
#pragma once

#include <string>
#include <vector>

#include "features/cgroup.hpp"

namespace tare::cgroup_controllers {

/// Has every cgroup from the tree's root down to the parent of `cgroup` pass on the controllers
/// that it does not pass on already. Throws Error(system) naming the cgroup that does not.
void enable(const std::vector<std::string>& controllers, const cgroup::Plan& cgroup);

/// The same for every controller there is, as far as each of them can be had: for a container that
/// limits in turn what it makes below its cgroup. Throws Error(system) for a cgroup that cannot be
/// read.
void enable_all(const cgroup::Plan& cgroup);

}  // namespace tare::cgroup_controllers
