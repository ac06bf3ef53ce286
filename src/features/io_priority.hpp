/// process.ioPriority (config.md, "Linux Process"): the class and level with which the process's
/// requests wait for a disk (ioprio_set(2)). Its process group is itself and what it will start, so
/// that setting it for the process sets it for them all. Set when and by whom the scheduler is.
#pragma once

#include <sys/types.h>

#include <optional>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"

namespace tare::io_priority {

struct Priority {
  int priority_class = 0;  ///< IOPRIO_CLASS_*
  int level = 0;           ///< 0, the first, to 7
  bool operator==(const Priority&) const = default;
};

struct Spec {
  std::optional<Priority> priority{};
};

struct Plan {
  std::optional<Priority> priority{};  ///< nothing is set when absent
  bool from_parent = false;
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `process`. Throws Error(spec) for an unknown class and a level out of
/// range. A level that is left out is 0, as with runc.
Spec read(const spec::Reader& process);
/// Decides who sets it: only a rootless caller leaves it to the process.
Plan plan(const Spec& spec, const Host& host);
/// The part of a privileged parent, once the process is ready. Throws Error(system) naming the
/// field.
void apply_in_parent(const Plan& plan, pid_t pid);
/// The part of the process itself, before its seccomp filter. Throws as above.
void apply_in_process(const Plan& plan);
/// Tells of it only where it is set.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::io_priority
