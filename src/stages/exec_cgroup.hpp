/// Which cgroup a process that exec adds is born in.
#pragma once

#include <string>

#include "sys/fd.hpp"
#include "tare/record.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// A cgroup to be born in.
struct Place {
  sys::Fd cgroup{};     ///< empty where the container has none of its own
  ScopeUnit scope{};    ///< whose cgroup it is, or one above it
  std::string inner{};  ///< the cgroup's path below the scope's, "/" first
};

/// The container's own cgroup, the one that create has delegated, or the one that --cgroup names
/// below it; empty where the container has none. Throws Error(usage) for a path that leads out of
/// it, and Error(system).
Place open_cgroup(const ExecRequest& request, const Record& record);

/// The cgroup that the container's init is in now, if that is below the container's own; else
/// empty. Throws Error(system).
Place find_cgroup_of_init(const Record& record);

}  // namespace tare::stages
