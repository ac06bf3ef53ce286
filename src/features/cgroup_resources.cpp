#include "features/cgroup_resources.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>

#include "sys/cgroup_file.hpp"

namespace tare::cgroup_resources {
namespace {

using spec::Reader;

// In config.json these come from cgroup v1, where -1 lifts a limit and 0 is "not set".
constexpr std::int64_t kUnlimited = -1;

// What the kernel starts a cgroup with (Documentation/admin-guide/cgroup-v2.rst, "cpu.max").
constexpr std::uint64_t kDefaultPeriod = 100000;

// Files of a cgroup that are no limits: to set one here would kill, stop or move processes.
constexpr std::string_view kNoLimits[] = {"cgroup.freeze", "cgroup.kill", "cgroup.procs",
                                          "cgroup.threads", "cgroup.type"};

class Amount {
 public:
  // The member `key` of the object, bytes or microseconds; `low` is the smallest that has a
  // meaning.
  Amount(const Reader& object, std::string_view key, std::int64_t low) {
    const std::optional<Reader> member = object.find(key);
    if (!member) return;
    value_ = member->integer<std::int64_t>(low);
    pointer_ = member->pointer();
  }
  std::int64_t value() const noexcept { return value_; }
  const std::string& pointer() const noexcept { return pointer_; }
  bool is_set() const noexcept { return value_ != 0; }
  std::string text() const { return value_ < 0 ? "max" : std::to_string(value_); }

 private:
  std::int64_t value_ = 0;
  std::string pointer_{};
};

void add(Spec& spec, std::string_view file, std::string value, std::string pointer) {
  spec.writes.push_back({.controller = std::string(file.substr(0, file.find('.'))),
                         .file = std::string(file),
                         .value = std::move(value),
                         .pointer = std::move(pointer)});
}

// memory.swap is memory and swap together; cgroup v2 limits swap alone. The cases and their words
// are runc's.
void read_swap(const Reader& memory, const Amount& limit, const Amount& swap, Spec& spec) {
  std::string value;
  if (!swap.is_set()) {
    if (limit.value() != kUnlimited) return;
    value = "max";  // "unlimited" meant both in cgroup v1
  } else if (swap.value() == kUnlimited || limit.value() == kUnlimited) {
    value = swap.text();
  } else if (!limit.is_set()) {
    throw memory.error("unable to set swap limit without memory limit");
  } else if (swap.value() < limit.value()) {
    throw memory.error("memory+swap limit should be >= memory limit");
  } else {
    value = std::to_string(swap.value() - limit.value());
  }
  add(spec, "memory.swap.max", value, swap.is_set() ? swap.pointer() : limit.pointer());
  // A kernel without swap accounting has no such file, and these two hold there without it.
  spec.writes.back().may_be_missing = value == "max" || value == "0";
}

// kernel, kernelTCP, swappiness, disableOOMKiller and useHierarchy have no counterpart in cgroup v2
// and are left alone, as by runc there; so are cpu.realtimeRuntime and realtimePeriod.
void read_memory(const Reader& memory, Spec& spec) {
  const Amount limit(memory, "limit", kUnlimited);
  const Amount swap(memory, "swap", kUnlimited);
  const Amount reservation(memory, "reservation", kUnlimited);
  read_swap(memory, limit, swap, spec);
  if (limit.is_set()) add(spec, "memory.max", limit.text(), limit.pointer());
  if (reservation.is_set()) add(spec, "memory.low", reservation.text(), reservation.pointer());
  if (!memory.boolean_or("checkBeforeUpdate", false)) return;
  if (swap.value() > 0) spec.checks.push_back({"memory+swap limit", swap.value(), swap.pointer()});
  if (limit.value() > 0) spec.checks.push_back({"memory limit", limit.value(), limit.pointer()});
}

void read_bandwidth(const Reader& cpu, Spec& spec) {
  const Amount quota(cpu, "quota", kUnlimited);
  const auto period = cpu.find_integer<std::uint64_t>("period").value_or(0);
  if (const std::optional<Reader> burst = cpu.find("burst")) {
    add(spec, "cpu.max.burst", std::to_string(burst->integer<std::uint64_t>()), burst->pointer());
  }
  if (!quota.is_set() && period == 0) return;
  add(spec, "cpu.max",
      fmt::format("{} {}", quota.is_set() ? quota.text() : "max",
                  period != 0 ? period : kDefaultPeriod),
      quota.is_set() ? quota.pointer() : cpu.at("period").pointer());
}

void read_cpu(const Reader& cpu, Spec& spec) {
  // Before cpu.weight: the kernel takes no weight while a cgroup is idle.
  if (const std::optional<Reader> idle = cpu.find("idle")) {
    add(spec, "cpu.idle", std::to_string(idle->integer<std::int64_t>()), idle->pointer());
  }
  if (const auto shares = cpu.find_integer<std::uint64_t>("shares"); shares.value_or(0) != 0) {
    add(spec, "cpu.weight", std::to_string(weight_of_shares(*shares)), cpu.at("shares").pointer());
  }
  read_bandwidth(cpu, spec);
  for (const auto& [key, file] : {std::pair{"cpus", "cpuset.cpus"}, {"mems", "cpuset.mems"}}) {
    const std::string list = cpu.string_or(key, "");
    if (!list.empty()) add(spec, file, list, cpu.at(key).pointer());
  }
}

void read_pids(const Reader& pids, ZeroPids zero, Spec& spec) {
  const std::optional<Reader> limit = pids.find("limit");
  if (!limit) return;
  const auto value = limit->integer<std::int64_t>();
  if (value == 0 && zero == ZeroPids::no_limit) return;
  // systemd knows no limit of 0, and runc writes 1 with either driver.
  add(spec, "pids.max", value < 0 ? "max" : std::to_string(std::max<std::int64_t>(value, 1)),
      limit->pointer());
}

void read_unified(const Reader& unified, Spec& spec) {
  for (const auto& [file, value] : unified.members()) {
    if (file.find('/') != std::string::npos) {
      throw value.error(
          fmt::format("unified resource \"{}\" must be a file name (no slashes)", file));
    }
    const std::size_t dot = file.find('.');
    if (dot == 0 || dot == std::string::npos) {
      throw value.error(
          fmt::format("unified resource \"{}\" must be in the form CONTROLLER.PARAMETER", file));
    }
    if (std::ranges::find(kNoLimits, file) != std::end(kNoLimits)) {
      throw value.error(fmt::format("unified resource \"{}\" is no limit", file));
    }
    add(spec, file, value.string(), value.pointer());
    if (spec.writes.back().controller == "cgroup") spec.writes.back().controller.clear();
  }
}

// A value that a cgroup has anyway; it needs no controller to hold.
bool asks_nothing(const Write& write) noexcept {
  if (write.file == "cpu.idle" || write.file == "cpu.max.burst") return write.value == "0";
  if (write.file == "cpu.max") return write.value.starts_with("max");
  return write.value == "max";
}

bool is_unified(const Write& write) noexcept {
  return write.pointer.find("/unified/") != std::string::npos;
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

void check_usage(const UsageCheck& check, sys::FdRef directory) {
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

// A controller reaches a cgroup when every cgroup above it passes it on.
void enable(const std::vector<std::string>& controllers, const cgroup::Plan& cgroup) {
  std::string value;
  for (const std::string& name : controllers) value += (value.empty() ? "+" : " +") + name;
  for (std::size_t at = 0; at != std::string::npos && at + 1 < cgroup.path.size();
       at = cgroup.path.find('/', at + 1)) {
    const std::string parent = cgroup.mount_point + cgroup.path.substr(0, at);
    const int number =
        sys::try_write_value(sys::FdRef::cwd(), parent + "/cgroup.subtree_control", value);
    if (number == 0) continue;
    throw Error::from_errno(
        number, fmt::format("write \"{}\" to {}/cgroup.subtree_control", value, parent),
        number == EBUSY ? "a cgroup that passes controllers on may hold no process (cgroups(7)): "
                          "choose a cgroupsPath below one that holds none"
                        : "");
  }
}

// Some files (io.max) take one line at a time.
int put(sys::FdRef directory, const Write& write) {
  std::string_view rest = write.value;
  do {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    const int number = sys::try_write_value(directory, write.file, line);
    if (number != 0) return number;
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  } while (!rest.empty());
  return 0;
}

[[noreturn]] void fail(int number, const Write& write, const cgroup::Plan& cgroup) {
  Error error = Error::from_errno(
      number, fmt::format("write \"{}\" to {}/{}", write.value, cgroup.directory(), write.file));
  if (is_unified(write)) {
    error.add_context(fmt::format("unable to set unified resource \"{}\"", write.file));
  }
  error.set_field(write.pointer);
  throw error;
}

}  // namespace

ZeroPids zero_pids_of(std::string_view oci_version) noexcept {
  constexpr std::string_view kMajor = "1.";
  unsigned minor = 0;
  if (oci_version.starts_with(kMajor)) {
    const std::string_view rest = oci_version.substr(kMajor.size());
    std::from_chars(rest.data(), rest.data() + rest.size(), minor);
  }
  return minor < 3 ? ZeroPids::no_limit : ZeroPids::limit;
}

Spec read(const Reader& linux_object, ZeroPids zero) {
  const std::optional<Reader> resources = linux_object.find("resources");
  return resources ? read_resources(*resources, zero) : Spec{};
}

Spec read_resources(const Reader& resources, ZeroPids zero) {
  constexpr std::pair<std::string_view, std::string_view> kLater[] = {
      {"blockIO", "this version of tare does not use the io controller"},
      {"hugepageLimits", "this version of tare does not use the hugetlb controller"},
      {"rdma", "this version of tare does not use the rdma controller"},
      {"network", "cgroup v2 has no controller for it"}};
  for (const auto& [field, why] : kLater) {
    resources.refuse(field, why);
  }
  Spec spec;
  if (const std::optional<Reader> pids = resources.find("pids")) read_pids(*pids, zero, spec);
  if (const std::optional<Reader> memory = resources.find("memory")) read_memory(*memory, spec);
  if (const std::optional<Reader> cpu = resources.find("cpu")) read_cpu(*cpu, spec);
  if (const std::optional<Reader> unified = resources.find("unified")) read_unified(*unified, spec);
  return spec;
}

// Shares go from 2 over a default of 1024 to 262144, weights from 1 over 100 to 10000: this
// quadratic of the logarithm, which runc and crun use too, meets all three.
std::uint64_t weight_of_shares(std::uint64_t shares) noexcept {
  if (shares == 0) return 0;
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const double l = std::log2(static_cast<double>(shares));
  const double exponent = (l * l + 125 * l) / 612.0 - 7.0 / 34.0;
  return static_cast<std::uint64_t>(std::ceil(std::pow(10, exponent)));
}

Plan plan(const Spec& spec, const cgroup::Plan& cgroup, const Host& host) {
  Plan plan;
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

void apply_in_parent(const Plan& plan, const cgroup::Plan& cgroup, sys::FdRef directory) {
  if (plan.writes.empty()) return;
  if (directory.number() < 0) {
    throw Error(
        ErrorKind::unsupported,
        "rootless needs no limits + no cgrouppath when no permission is granted for cgroups",
        "have systemd delegate a cgroup to the user (Delegate=yes)");
  }
  for (const UsageCheck& check : plan.checks) check_usage(check, directory);
  bool enabled = false;
  std::vector<Write> again;
  for (const Write& write : plan.writes) {
    int number = put(directory, write);
    // Most often some cgroup above passes the controllers on already, and there is nothing to
    // enable.
    if (number == ENOENT && !enabled && !write.controller.empty()) {
      asked_by([&] { return write.pointer; }, [&] { enable(plan.controllers, cgroup); });
      enabled = true;
      number = put(directory, write);
    }
    if (number == 0 || (number == ENOENT && write.may_be_missing)) continue;
    // More burst than the quota that still holds: the quota is about to change.
    if (number != EINVAL || write.file != "cpu.max.burst") fail(number, write, cgroup);
    again.push_back(write);
  }
  for (const Write& write : again) {
    if (const int number = put(directory, write); number != 0) fail(number, write, cgroup);
  }
}

void explain(const Plan& plan, Explain& out) {
  for (const Write& write : plan.writes) {
    out.add("cgroup_resources", fmt::format("set {} to \"{}\"", write.file, write.value),
            write.pointer);
  }
}

}  // namespace tare::cgroup_resources
