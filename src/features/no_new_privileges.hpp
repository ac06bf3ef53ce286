/// process.noNewPrivileges (config.md, "Linux Process"): PR_SET_NO_NEW_PRIVS, after the user and
/// capabilities are set, since it cannot be undone.
#pragma once

#include "features/explain.hpp"
#include "spec/reader.hpp"

namespace tare::no_new_privileges {

struct Plan {
  bool enabled = false;
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `process`; the field is the whole decision.
Plan read(const spec::Reader& process);
/// Sets the bit where the plan has it. Throws Error(system).
void apply(const Plan& plan);
/// Tells of it only where it is on.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::no_new_privileges
