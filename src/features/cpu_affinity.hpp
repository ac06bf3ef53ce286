/// process.execCPUAffinity (config.md, "Linux Process"): the CPUs of a process that exec adds,
/// before and after it is in the container's cgroup. Without it, and for a container's init always,
/// the process may run on the whole cpuset of the container, not only on the CPUs of its caller:
/// since Linux 6.2 a mask that was ever set narrows every cpuset that its heirs move to.
#pragma once

#include <sys/types.h>

#include "features/explain.hpp"
#include "spec/reader.hpp"
#include "sys/attributes.hpp"

namespace tare::cpu_affinity {

struct Plan {
  sys::NumberMask initial{};  ///< of the runtime and what it makes; empty leaves the caller's
  sys::NumberMask final{};    ///< of the process in its cgroup; empty leaves it to the kernel
  bool operator==(const Plan&) const = default;
  /// Whether neither is there.
  bool is_default() const noexcept { return initial.empty() && final.empty(); }
};

/// Reads from the object `process`; there is nothing left to decide. Throws Error(spec) for what is
/// no list of CPUs.
Plan read(const spec::Reader& process);
/// In exec's parent, before it makes the process: its own mask, which the process inherits. Throws
/// Error(system) naming the field.
void apply_before_birth(const Plan& plan);
/// In exec's parent, with the process in its cgroup and not yet running anything: the final CPUs,
/// or all of them where the plan is the default one. Throws Error(system) naming the field.
void apply_after_birth(const Plan& plan, pid_t pid);
/// In create's parent: all CPUs for a container's init.
void reset_in_parent(pid_t pid);
/// What exec will do, where there is something.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::cpu_affinity
