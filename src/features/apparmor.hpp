/// process.apparmorProfile (config.md, "Linux Process") and exec --apparmor: the AppArmor profile
/// that the payload is executed under. Asked for by the process itself, for its next execve,
/// through a procfs that was opened before the container's root was in sight.
#pragma once

#include <string>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::apparmor {

struct Spec {
  std::string profile{};
};

struct Plan {
  std::string profile{};  ///< empty: none is asked for
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `process`. Throws Error(spec) for a name that AppArmor cannot have.
Spec read(const spec::Reader& process);
/// Throws Error(spec) for a name that no profile can have: control characters, more than a page.
/// "" is no name, and fine.
void check_name(const std::string& profile);
/// Throws Error(unsupported) where this machine has no AppArmor, unless the wish is for no
/// confinement, which is then a fact.
Plan plan(const Spec& spec, const Host& host);
/// Has the kernel change the profile at this thread's next execve. `procfs` as open_procfs gives
/// it. Throws Error(system) "apparmor failed to apply profile: ...", as runc words it.
void apply(const Plan& plan, sys::FdRef procfs);
/// Tells of it only where there is a profile.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::apparmor
