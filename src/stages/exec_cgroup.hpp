/// Which cgroup a process that exec adds is born in.
#pragma once

#include "sys/fd.hpp"
#include "tare/record.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// The container's own cgroup, the one that create has delegated, or the one that --cgroup names
/// below it; empty where the container has none. Throws Error(usage) for a path that leads out of
/// it, and Error(system).
sys::Fd open_cgroup(const ExecRequest& request, const Record& record);

/// The cgroup that the container's init is in now, if that is below the container's own; else
/// empty. Throws Error(system).
sys::Fd find_cgroup_of_init(const Record& record);

}  // namespace tare::stages
