/// process.oomScoreAdj (config.md, "Linux Process"): written by the parent to its own procfs.
#pragma once

#include <sys/types.h>

#include <optional>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"

namespace tare::oom_score {

struct Spec {
  std::optional<int> adjustment{};
};

struct Plan {
  std::optional<int> adjustment{};  ///< -1000 to 1000; nothing is written when absent
  bool may_fail = false;            ///< rootless: lowering is not allowed, and runc goes on
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `process`. Throws Error(spec) out of range.
Spec read(const spec::Reader& process);
/// Only a rootless caller may be refused.
Plan plan(const Spec& spec, const Host& host);
/// Writes /proc/PID/oom_score_adj. Throws Error(system) naming the field, unless it may fail.
void apply_in_parent(const Plan& plan, pid_t pid);
/// Tells of it only where there is a score.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::oom_score
