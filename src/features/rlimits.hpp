/// process.rlimits (config.md, "POSIX process"). Set from the parent by prlimit(2) in a user
/// namespace, where init could not raise a hard limit; by the process itself otherwise.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "features/explain.hpp"
#include "spec/reader.hpp"

namespace tare::rlimits {

struct Limit {
  int resource = 0;  ///< RLIMIT_*
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  std::string pointer{};
  bool operator==(const Limit&) const = default;
};

struct Spec {
  std::vector<Limit> limits{};
};

struct Plan {
  std::vector<Limit> limits{};
  bool from_parent = false;
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `process`. Throws Error(spec) for an unknown or repeated type and for a
/// soft limit above the hard one.
Spec read(const spec::Reader& process);
/// Decides who sets them.
Plan plan(const Spec& spec, bool user_namespace);
/// prlimit(2) on `pid`, 0 for the caller. Throws Error(system) naming the field.
void apply(const Plan& plan, pid_t pid);
/// One effect for each limit.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::rlimits
