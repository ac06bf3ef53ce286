/// linux.personality (config-linux.md, "Personality"): the execution domain of the container's
/// processes (personality(2)); LINUX32 has uname(2) name a 32-bit machine. Set by each process
/// itself, before its seccomp filter, which may forbid the call. It changes nothing of what a
/// filter sees: that is the gate by which a call comes, not what uname says.
#pragma once

#include <optional>

#include "features/explain.hpp"
#include "spec/reader.hpp"

namespace tare::personality {

struct Plan {
  std::optional<unsigned long> domain{};  ///< PER_*; the caller's personality stays when absent
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `linux`; there is nothing left to decide. Throws Error(spec) for an
/// unknown domain and for every flag, as the specification has none.
Plan read(const spec::Reader& linux_object);
/// In the process itself. Throws Error(system) naming the field.
void apply(const Plan& plan);
/// Tells of it only where it is set.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::personality
