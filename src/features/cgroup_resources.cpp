#include "features/cgroup_resources.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "features/cgroup_controllers.hpp"
#include "features/cgroup_cpu.hpp"
#include "features/cgroup_hugetlb.hpp"
#include "features/cgroup_io.hpp"
#include "features/cgroup_memory.hpp"
#include "features/cgroup_rdma.hpp"
#include "features/cgroup_unified.hpp"
#include "sys/cgroup_file.hpp"

namespace tare::cgroup_resources {
namespace {

using spec::Reader;

// cgroup v1's net_cls and net_prio; what cgroup v2 has instead are eBPF programs of the host.
void note_network(const Reader& resources, Spec& spec) {
  const std::optional<Reader> network = resources.find("network");
  if (!network) return;
  const bool has_class = network->find_integer<std::uint32_t>("classID").value_or(0) != 0;
  bool has_priorities = false;
  if (const std::optional<Reader> priorities = network->find("priorities")) {
    for (const Reader& item : priorities->items()) {
      has_priorities = true;
      item.at("name").string();
      item.at("priority").integer<std::uint32_t>();
    }
  }
  if (!has_class && !has_priorities) return;
  spec.ignored.push_back({network->pointer(), "cgroup v2 has no controller of the network"});
}

// A value that a cgroup has anyway; it needs no controller to hold.
bool asks_nothing(const Write& write) noexcept {
  if (write.file == "cpu.idle" || write.file == "cpu.max.burst") return write.value == "0";
  if (write.file == "cpu.max") return write.value.starts_with("max");
  return write.value == "max";
}

Error missing_controller(const Write& write, const CgroupLayout& layout) {
  std::string text;
  if (is_unified(write)) {
    text = fmt::format("unified resource \"{}\" can't be set: controller \"{}\" not available",
                       write.file, write.controller);
  } else {
    text = fmt::format("{} can't be set: controller \"{}\" not available", write.file,
                       write.controller);
  }
  text += fmt::format(" in the cgroup v2 tree at {}", layout.mount_point);
  Error error(ErrorKind::unsupported, std::move(text));
  if (layout.hybrid) {
    error.set_hint(
        "this host uses the controller with cgroup v1, and tare uses cgroup v2 only: boot with "
        "systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=all, or leave the limit out");
  }
  error.set_field(write.pointer);
  return error;
}

void check_one(const UsageCheck& check, sys::FdRef directory) {
  const std::optional<std::string> text = sys::read_value(directory, "memory.current");
  if (!text) return;  // nothing is accounted yet
  std::int64_t usage = 0;
  std::from_chars(text->data(), text->data() + text->size(), usage);
  if (check.limit_bytes > usage) return;
  Error error(ErrorKind::state,
              fmt::format("rejecting {} {} <= usage {}", check.what, check.limit_bytes, usage));
  error.set_field(check.pointer);
  throw error;
}

}  // namespace

Spec read(const Reader& linux_object, ZeroPids zero) {
  const std::optional<Reader> resources = linux_object.find("resources");
  return resources ? read_resources(*resources, zero, {}) : Spec{};
}

Spec read_resources(const Reader& resources, ZeroPids zero, const Base& base) {
  Spec spec;
  cgroup_pids::read(resources, zero, spec);
  cgroup_memory::read(resources, base, spec);
  cgroup_io::read(resources, spec);
  cgroup_cpu::read(resources, base, spec);
  cgroup_hugetlb::read(resources, spec);
  cgroup_rdma::read(resources, spec);
  note_network(resources, spec);
  // Last: it is the caller's own word about a file that another field may have set.
  cgroup_unified::read(resources, spec);
  return spec;
}

Plan plan(const Spec& spec, const cgroup::Plan& cgroup, const Host& host) {
  Plan plan{.ignored = spec.ignored, .memory = spec.memory};
  for (const Write& write : spec.writes) {
    const bool available =
        write.controller.empty() || host.cgroup.controllers.contains(write.controller);
    if (cgroup.enabled() && available) {
      plan.writes.push_back(write);
      if (!write.controller.empty()) plan.controllers.push_back(write.controller);
      continue;
    }
    if (asks_nothing(write)) continue;
    if (cgroup.enabled()) throw missing_controller(write, host.cgroup);
    Error error(ErrorKind::unsupported,
                fmt::format("{} can't be set: the container has no cgroup of its own", write.file));
    error.set_field(write.pointer);
    throw error;
  }
  std::ranges::sort(plan.controllers);
  plan.controllers.erase(std::unique(plan.controllers.begin(), plan.controllers.end()),
                         plan.controllers.end());
  if (!plan.writes.empty()) plan.checks = spec.checks;
  return plan;
}

void check_usage(const std::vector<UsageCheck>& checks, sys::FdRef directory) {
  for (const UsageCheck& check : checks) check_one(check, directory);
}

void apply_in_parent(const Plan& plan, const cgroup::Plan& cgroup, sys::FdRef directory) {
  if (plan.writes.empty()) return;
  if (directory.number() < 0) {
    throw Error(
        ErrorKind::unsupported,
        "rootless needs no limits + no cgrouppath when no permission is granted for cgroups",
        "have systemd delegate a cgroup to the user (Delegate=yes)");
  }
  check_usage(plan.checks, directory);
  bool enabled = false;
  std::vector<Write> again;
  for (const Write& write : plan.writes) {
    int number = put(directory, write);
    // Most often some cgroup above passes the controllers on already, and there is nothing to
    // enable.
    if (number == ENOENT && !enabled && !write.controller.empty()) {
      asked_by([&] { return write.pointer; },
               [&] { cgroup_controllers::enable(plan.controllers, cgroup); });
      enabled = true;
      number = put(directory, write);
    }
    if (number == 0 || (number == ENOENT && write.may_be_missing)) continue;
    // More burst than the quota that still holds: the quota is about to change.
    if (number != EINVAL || write.file != "cpu.max.burst") {
      throw refusal(number, write, cgroup.directory());
    }
    again.push_back(write);
  }
  for (const Write& write : again) {
    if (const int number = put(directory, write); number != 0) {
      throw refusal(number, write, cgroup.directory());
    }
  }
}

void explain(const Plan& plan, Explain& out) {
  for (const Write& write : plan.writes) {
    std::string text = fmt::format("set {} to \"{}\"", write.file, write.value);
    if (!write.fallback_file.empty()) {
      text += fmt::format(", or, in a kernel without that file, {} to \"{}\"", write.fallback_file,
                          write.fallback_value);
    }
    out.add("cgroup_resources", std::move(text), write.pointer);
  }
  for (const Ignored& ignored : plan.ignored) {
    out.add("cgroup_resources", "left alone: " + ignored.why, ignored.pointer);
  }
}

}  // namespace tare::cgroup_resources
