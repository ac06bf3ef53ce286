/// The groups that a container is born in: its cgroup, made here or by systemd, and its resctrl
/// group. In the parent, before the process that is to live there; what is made is undone by
/// `undo`, which borrows the Plan.
#pragma once

#include <sys/types.h>

#include "features/all.hpp"
#include "stages/undo.hpp"
#include "sys/fd.hpp"
#include "tare/record.hpp"

namespace tare::stages {

/// The cgroup with its limits, before anything lives in it. Empty where the container has none of
/// its own.
sys::Fd make_cgroup(const Plan& plan, Undo& undo);

/// The scope, around the process `pid`, which init will be born beside.
sys::Fd make_scope(const Plan& plan, Undo& undo, pid_t pid);

/// Attaches the device filter, before anything but tare itself runs in the cgroup; its compilation
/// by the kernel takes as long as a few mounts of init's, and goes on beside them. Does nothing
/// where the container has no cgroup.
void filter_devices(const Plan& plan, sys::FdRef directory);

/// Makes the resctrl group and notes what of it is the container's own. Rootless, the group is not
/// ours to make, and the error says so.
void make_resctrl_group(const Plan& plan, Record& record, Undo& undo);

}  // namespace tare::stages
