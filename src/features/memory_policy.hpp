/// linux.memoryPolicy (config-linux.md, "Memory policy"): from which NUMA nodes the memory of the
/// container's processes comes (set_mempolicy(2)). Set by each process itself, as there is no call
/// that sets another's, and before its seccomp filter.
#pragma once

#include <string>
#include <vector>

#include "features/explain.hpp"
#include "spec/reader.hpp"
#include "sys/attributes.hpp"

namespace tare::memory_policy {

struct Plan {
  bool enabled = false;
  int mode = 0;             ///< MPOL_*
  int flags = 0;            ///< MPOL_F_*
  sys::NumberMask nodes{};  ///< empty for the modes that take none
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `linux`; there is nothing left to decide. Throws Error(spec) for what the
/// kernel would refuse on any machine, in runc's words where it has some.
Plan read(const spec::Reader& linux_object);
/// In the process itself. Throws Error(system) naming the field.
void apply(const Plan& plan);
/// Tells of it only where it is set.
void explain(const Plan& plan, Explain& out);

/// The words of the specification, for `features`.
std::vector<std::string> known_modes();
std::vector<std::string> known_flags();

}  // namespace tare::memory_policy
