/// linux.resources.devices: which devices the container may open and make, as an eBPF program on
/// its cgroup (config-linux.md, "Allowed Device list"). Everything is denied but the default
/// devices, mknod of any node, and what the rules allow, in order (GHSA-g54h-m393-cpwq: an absent
/// list denies too). Attached by the parent before init exists.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/bpf.hpp"
#include "sys/fd.hpp"

namespace tare::cgroup_devices {

struct Rule {
  bool allow = false;
  char type = 'a';                       ///< a, c or b
  std::optional<std::uint32_t> major{};  ///< any where absent
  std::optional<std::uint32_t> minor{};
  bool read = false;
  bool write = false;
  bool mknod = false;
  bool operator==(const Rule&) const = default;
};

struct Spec {
  std::vector<Rule> rules{};
};

struct Plan {
  std::vector<Rule> rules{};  ///< the config's, then the ones that a container cannot do without
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `linux`. Throws Error(spec) naming the rule.
Spec read(const spec::Reader& linux_object);
/// The same from the object `resources` itself.
Spec read_resources(const spec::Reader& resources);
/// The rules with the defaults behind them; none for the rootless, who may load no program.
Plan plan(const Spec& spec, const Host& host);
/// The program for the rules: for each of read, write and mknod by itself the last rule that
/// matches decides, and a request is allowed when all that it asks for is. Pure.
std::vector<sys::BpfInstruction> compile(const std::vector<Rule>& rules);
/// Loads and attaches the program. Throws Error(system).
void apply_in_parent(const Plan& plan, sys::FdRef cgroup_directory);
/// Puts the program for these rules into the place of the one that apply_in_parent has attached, at
/// once: no device is open to the container meanwhile that neither list allows. Throws
/// Error(unsupported) where that one is not there, and Error(system).
void replace_in_parent(const Plan& plan, sys::FdRef cgroup_directory);
/// One effect, with every rule in its order.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::cgroup_devices
