/// linux.resources: memory, cpu, pids and what else cgroup v2 limits (config-linux.md, "Memory",
/// "CPU", "PIDs", "Unified"). Written by the parent before init exists. Only the controllers that
/// are needed are enabled, from the root of the tree down; a limit whose controller is missing is
/// refused by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "features/cgroup.hpp"
#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::cgroup_resources {

/// One value for one file of the cgroup.
struct Write {
  std::string controller{};  ///< "memory"; empty for cgroup.* files, which every cgroup has
  std::string file{};        ///< "memory.max"
  std::string value{};       ///< lines are written one by one
  std::string pointer{};     ///< "/linux/resources/memory/limit"
  bool may_be_missing =
      false;  ///< asks only for what holds anyway where the kernel has no such file
  bool operator==(const Write&) const = default;
};

/// A limit that is refused where the cgroup uses that much already (memory.checkBeforeUpdate).
struct UsageCheck {
  std::string what{};  ///< "memory limit"
  std::int64_t limit_bytes = 0;
  std::string pointer{};
  bool operator==(const UsageCheck&) const = default;
};

struct Spec {
  std::vector<Write> writes{};
  std::vector<UsageCheck> checks{};
};

struct Plan {
  std::vector<Write> writes{};
  std::vector<std::string> controllers{};  ///< to enable, sorted
  std::vector<UsageCheck> checks{};
  bool operator==(const Plan&) const = default;
};

/// What a pids.limit of 0 says. Version 1.3 of the specification made it a limit like any other;
/// callers that write an older version (podman 4 for `--pids-limit -1`) mean by it that there is
/// none.
enum class ZeroPids { limit, no_limit };
/// By the config's ociVersion.
ZeroPids zero_pids_of(std::string_view oci_version) noexcept;

/// Reads linux.resources (all but devices). Throws Error(spec); Error(unsupported) for fields that
/// wait.
Spec read(const spec::Reader& linux_object, ZeroPids zero);
/// As read, from the object `resources` itself, which is what `update` is given.
Spec read_resources(const spec::Reader& resources, ZeroPids zero = ZeroPids::limit);
/// cpu.weight for cpu.shares, 0 for 0 ("not set").
std::uint64_t weight_of_shares(std::uint64_t shares) noexcept;
/// Throws Error(unsupported) naming the controller that is missing, and why on a hybrid host.
Plan plan(const Spec& spec, const cgroup::Plan& cgroup, const Host& host);
/// Enables controllers in the parents where the files are not there yet, and writes the values.
/// `directory` is the cgroup's, or an empty descriptor where an optional one could not be made.
/// Throws Error(system) naming file, value and field.
void apply_in_parent(const Plan& plan, const cgroup::Plan& cgroup, sys::FdRef directory);
/// One effect for each value that is written.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::cgroup_resources
