/// process.scheduler (config.md, "Linux Process"): by which of the kernel's schedulers the process
/// gets its CPU time, and with what claim (sched(7), sched_setattr(2)).
///
/// Set last of all, when nothing is left to do but execve: by the parent, which still has
/// CAP_SYS_NICE where the process itself gave it up or has it in a user namespace only. A rootless
/// parent has no rights over a process of another user, so there the process sets it for itself.
#pragma once

#include <sys/types.h>

#include <optional>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/attributes.hpp"

namespace tare::scheduler {

struct Spec {
  std::optional<sys::Scheduling> scheduling{};
};

/// What else of the config has a say in it.
struct Context {
  bool cpus_limited = false;    ///< linux.resources.cpu.cpus
  bool forks_at_start = false;  ///< a startContainer hook is run by the process itself
};

struct Plan {
  std::optional<sys::Scheduling> scheduling{};  ///< nothing is set when absent
  bool from_parent = false;
  bool cpus_limited = false;  ///< what a refusal of SCHED_DEADLINE is then due to
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `process`. Throws Error(spec) for what the kernel would refuse on any
/// machine, in runc's words where it has some; Error(unsupported) for SCHED_ISO, which no kernel
/// has.
Spec read(const spec::Reader& process);
/// Decides who sets it. Throws Error(spec) where the process could not run its own hooks.
Plan plan(const Spec& spec, const Host& host, const Context& context);
/// The part of a privileged parent, once the process is ready. Throws Error(system) naming the
/// field.
void apply_in_parent(const Plan& plan, pid_t pid);
/// The part of the process itself, before its seccomp filter. Throws as above.
void apply_in_process(const Plan& plan);
/// Tells of it only where it is set.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::scheduler
