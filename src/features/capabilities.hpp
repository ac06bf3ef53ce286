/// process.capabilities: the five sets (config.md, "Linux Process"; capabilities(7)). Narrowed as
/// soon as set-up needs no more, set to exactly what was asked right before the payload.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"

namespace tare::capabilities {

/// A set of capabilities, bit n for capability number n.
using Set = std::uint64_t;

struct Spec {
  Set bounding = 0;
  Set effective = 0;
  Set inheritable = 0;
  Set permitted = 0;
  Set ambient = 0;
  std::vector<std::string> unknown{};  ///< names that no kernel has, each once
};

struct Plan {
  Set bounding = 0;
  Set effective = 0;
  Set inheritable = 0;
  Set permitted = 0;
  Set ambient = 0;  ///< only what is permitted and inheritable too, as the kernel demands
  int last_capability = 40;
  /// What was asked for and is not given, a sentence each: for the log.
  std::vector<std::string> warnings{};
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `process`. A name that no kernel knows is kept apart. Throws Error(spec)
/// where a set is no list of strings.
Spec read(const spec::Reader& process);
/// Leaves out what the kernel does not know and what it would not let be ambient, with a warning:
/// config.md, "Linux Process", wants what cannot be granted logged, and not refused. Throws
/// Error(spec) where the effective set exceeds the permitted one, or the inheritable one the
/// bounding one.
Plan plan(const Spec& spec, const Host& host);

/// "CAP_NET_RAW" (any case, CAP_ optional) to its number. Throws Error(usage) "unknown capability".
int parse_name(const std::string& name);
/// Every name that this version knows, in the order of the numbers: for `features`.
std::vector<std::string> known_names();

/// Drops from the bounding set, and from the permitted set all that neither the payload nor the
/// rest of set-up (uid, gid, own capability sets, and `further`) needs: before the process becomes
/// visible in a pid namespace that the container's processes live in.
void narrow(const Plan& plan, Set further);
/// Keeps capabilities across the change of user that follows (PR_SET_KEEPCAPS).
void keep_across_user_change();
/// Sets the five sets, clears KEEPCAPS, and leaves no securebit on.
void apply(const Plan& plan);
/// One effect for each set, the empty ones too.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::capabilities
