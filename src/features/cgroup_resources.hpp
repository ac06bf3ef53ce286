/// linux.resources: memory, cpu, pids and what else cgroup v2 limits (config-linux.md, "Memory", "CPU",
/// "PIDs"). Written by the parent before init exists. Only the controllers that are needed are enabled,
/// from the root of the tree down; a limit whose controller is missing is refused by name.
#pragma once

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
  std::string controller{};  ///< "memory"
  std::string file{};        ///< "memory.max"
  std::string value{};
  std::string pointer{};     ///< "/linux/resources/memory/limit"
  bool operator==(const Write&) const = default;
};

struct Spec {
  std::vector<Write> writes{};
};

struct Plan {
  std::vector<Write> writes{};
  std::vector<std::string> controllers{};  ///< to enable, sorted
  bool operator==(const Plan&) const = default;
};

/// Reads linux.resources (all but devices). Throws Error(spec); Error(unsupported) for fields that wait.
Spec read(const spec::Reader& linux_object);
/// Throws Error(unsupported) naming the controller that is missing, and why on a hybrid host.
Plan plan(const Spec& spec, const cgroup::Plan& cgroup, const Host& host);
/// Enables controllers in the parents and writes the values. Throws Error(system) naming file, value
/// and field.
void apply_in_parent(const Plan& plan, const cgroup::Plan& cgroup, sys::FdRef directory);
void explain(const Plan& plan, Explain& out);

}  // namespace tare::cgroup_resources
