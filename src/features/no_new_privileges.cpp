#include "features/no_new_privileges.hpp"

#include "sys/credentials.hpp"

namespace tare::no_new_privileges {

Plan read(const spec::Reader& process) {
  return {.enabled = process.boolean_or("noNewPrivileges", false)};
}

void apply(const Plan& plan) {
  // Never cleared where it is off: a caller that has the bit hands it down, and nothing could undo
  // it.
  if (plan.enabled) sys::set_no_new_privileges();
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.enabled) return;
  out.add("no_new_privileges", "no program of the container can gain privileges by execve",
          "/process/noNewPrivileges");
}

}  // namespace tare::no_new_privileges
