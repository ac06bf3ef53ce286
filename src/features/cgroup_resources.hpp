/// linux.resources but for devices: what cgroup v2 limits (config-linux.md, "Memory", "CPU",
/// "PIDs", "Block IO", "Huge page limits", "RDMA", "Unified"). What each field means is in a file
/// for each controller; here the values are planned and written, by the parent, before init exists.
/// Only the controllers that are needed are enabled, from the root of the tree down; a limit whose
/// controller is missing is refused by name.
#pragma once

#include <string>
#include <vector>

#include "features/cgroup.hpp"
#include "features/cgroup_pids.hpp"
#include "features/cgroup_write.hpp"
#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::cgroup_resources {

using ZeroPids = cgroup_pids::Zero;

struct Plan {
  std::vector<Write> writes{};
  std::vector<std::string> controllers{};  ///< to enable, sorted
  std::vector<UsageCheck> checks{};
  std::vector<Ignored> ignored{};
  MemoryLimits memory{};  ///< for the record
  bool operator==(const Plan&) const = default;
};

/// Reads linux.resources, of a cgroup that is to be made. Throws Error(spec).
Spec read(const spec::Reader& linux_object, ZeroPids zero);
/// As read, from the object `resources` itself and on top of what holds: this is what `update` is
/// given.
Spec read_resources(const spec::Reader& resources, ZeroPids zero, const Base& base);
/// Throws Error(unsupported) naming the controller that is missing, and why on a hybrid host.
Plan plan(const Spec& spec, const cgroup::Plan& cgroup, const Host& host);
/// Throws Error(state) "rejecting memory limit ..." where the cgroup uses that much already.
void check_usage(const std::vector<UsageCheck>& checks, sys::FdRef directory);
/// Enables controllers in the parents where the files are not there yet, and writes the values.
/// `directory` is the cgroup's, or an empty descriptor where an optional one could not be made.
/// Throws Error(system) naming file, value and field.
void apply_in_parent(const Plan& plan, const cgroup::Plan& cgroup, sys::FdRef directory);
/// One effect for each value that is written, and one for each field that is left alone.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::cgroup_resources
