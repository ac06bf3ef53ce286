/// linux.timeOffsets (config-linux.md, "Offset for Time Namespace"): by how much the clocks of a
/// new time namespace are ahead of the host's (time_namespaces(7)).
///
/// The kernel takes offsets only while nobody is in the namespace, and clone3(2) would put init
/// into it at once. So with offsets init is born without it: it makes the namespace for its
/// children to come, writes the offsets, and then enters it itself. That is the first thing it
/// does: a process that has changed its user no longer owns its own files in /proc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "features/explain.hpp"
#include "features/namespaces.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::time_offsets {

struct Offset {
  std::string clock{};  ///< "monotonic" or "boottime"
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds =
      0;  ///< below 10^9, ahead of the seconds even where these are negative
  bool operator==(const Offset&) const = default;
};

struct Spec {
  std::vector<Offset> offsets{};
};

struct Plan {
  std::vector<Offset> offsets{};
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `linux`. Throws Error(spec) for an unknown clock and for values out of
/// range.
Spec read(const spec::Reader& linux_object);
/// Throws Error(spec), in runc's words, where no new time namespace is made.
Plan plan(const Spec& spec, const namespaces::Plan& namespaces);
/// What of the namespaces that `plan` has clone3(2) is to make: all, but for the time namespace
/// where there are offsets.
std::uint64_t made_at_birth(const Plan& plan, const namespaces::Plan& namespaces) noexcept;
/// The runtime's own procfs, for init, whose mount namespace may be any; empty without offsets.
sys::Fd open_in_parent(const Plan& plan);
/// Makes the namespace, sets it and enters it. Throws Error(system) naming the field.
void apply_in_init(const Plan& plan, sys::Fd procfs);
/// One effect for each clock.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::time_offsets
