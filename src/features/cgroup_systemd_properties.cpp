// What systemd is told of limits and device rules: pure conversions of what cgroupfs is to hold
// (systemd.resource-control(5); the types are those of org.freedesktop.systemd1(5)).
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "features/cgroup_systemd.hpp"
#include "tare/error.hpp"

namespace tare::cgroup_systemd {
namespace {

using cgroup_resources::Write;
using sys::BusValue;

constexpr std::uint64_t kInfinity = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kMicroseconds = 1'000'000;
constexpr std::uint64_t kDefaultPeriod = 100'000;
// A hundredth of a CPU, in microseconds of each second: what systemd counts CPUQuota= in.
constexpr std::uint64_t kQuotaStep = 10'000;
constexpr unsigned kMostCpus = 1U << 16U;

struct Amount {
  std::string_view file;
  std::string_view property;
  std::uint64_t least;  ///< systemd takes no less
};
constexpr Amount kAmounts[] = {
    {"memory.max", "MemoryMax", 0},          {"memory.low", "MemoryLow", 0},
    {"memory.min", "MemoryMin", 0},          {"memory.high", "MemoryHigh", 0},
    {"memory.swap.max", "MemorySwapMax", 0}, {"memory.zswap.max", "MemoryZSwapMax", 0},
    {"cpu.weight", "CPUWeight", 1},          {"pids.max", "TasksMax", 1},
};

std::optional<std::uint64_t> number_of(std::string_view text) {
  while (text.ends_with(' ') || text.ends_with('\n')) text.remove_suffix(1);
  if (text == "max" || text == "-1") return kInfinity;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Quota {
  std::uint64_t quota = kInfinity;
  std::optional<std::uint64_t> period{};
};

std::optional<Quota> quota_of(std::string_view text) {
  const std::size_t space = text.find(' ');
  const std::optional<std::uint64_t> quota = number_of(text.substr(0, space));
  if (!quota) return std::nullopt;
  Quota out{.quota = *quota};
  if (space == text.npos) return out;
  out.period = number_of(text.substr(space + 1));
  if (!out.period || *out.period == 0 || *out.period > kMicroseconds) return std::nullopt;
  return out;
}

// Microseconds of CPU for each second, rounded up to what systemd keeps.
std::uint64_t per_second(const Quota& quota) {
  if (quota.quota == kInfinity) return kInfinity;
  const std::uint64_t period = quota.period.value_or(kDefaultPeriod);
  if (quota.quota > kInfinity / kMicroseconds) return kInfinity;
  const std::uint64_t exact = quota.quota * kMicroseconds / period;
  return (exact + kQuotaStep - 1) / kQuotaStep * kQuotaStep;
}

// "0-3,7" as a mask of bits, the lowest byte first.
std::vector<BusValue> mask_of(std::string_view list) {
  std::vector<std::uint8_t> bytes;
  const char* at = list.data();
  const char* const end = at + list.size();
  while (at < end) {
    unsigned first = 0;
    auto parsed = std::from_chars(at, end, first);
    unsigned last = first;
    if (parsed.ptr < end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    }
    if (parsed.ec != std::errc{} || last < first || last >= kMostCpus) return {};
    if (bytes.size() <= last / 8) bytes.resize(last / 8 + 1);
    for (unsigned bit = first; bit <= last; ++bit) {
      bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | (1U << (bit % 8)));
    }
    at = parsed.ptr + 1;
  }
  std::vector<BusValue> out;
  for (const std::uint8_t byte : bytes) out.push_back({"y", std::uint64_t{byte}});
  return out;
}

void add_optional(std::vector<Property>& out, std::string_view name, BusValue value) {
  // CPUWeight comes of cpu.weight and of cpu.idle: the later one counts.
  std::erase_if(out, [name](const Property& property) { return property.name == name; });
  out.push_back({.name = std::string(name), .value = std::move(value), .optional = true});
}

void add_amount(std::vector<Property>& out, const Amount& amount, const Write& write) {
  const std::optional<std::uint64_t> value = number_of(write.value);
  if (!value) return;
  add_optional(out, amount.property, BusValue::uint64(std::max(*value, amount.least)));
}

void add_quota(std::vector<Property>& out, const Write& write) {
  const std::optional<Quota> quota = quota_of(write.value);
  if (!quota) return;
  if (quota->period) add_optional(out, "CPUQuotaPeriodUSec", BusValue::uint64(*quota->period));
  add_optional(out, "CPUQuotaPerSecUSec", BusValue::uint64(per_second(*quota)));
}

void add_mask(std::vector<Property>& out, std::string_view name, const Write& write) {
  std::vector<BusValue> mask = mask_of(write.value);
  if (!mask.empty()) add_optional(out, name, BusValue::array("y", std::move(mask)));
}

void add_one(std::vector<Property>& out, const Write& write) {
  const auto* amount = std::ranges::find(kAmounts, std::string_view(write.file), &Amount::file);
  if (amount != std::end(kAmounts)) return add_amount(out, *amount, write);
  if (write.file == "cpu.max") return add_quota(out, write);
  if (write.file == "cpuset.cpus") return add_mask(out, "AllowedCPUs", write);
  if (write.file == "cpuset.mems") return add_mask(out, "AllowedMemoryNodes", write);
  // Weight 0 is how systemd spells cpu.idle (since 252).
  if (write.file == "cpu.idle" && number_of(write.value) == 1U) {
    return add_optional(out, "CPUWeight", BusValue::uint64(0));
  }
  if (write.file == "memory.oom.group") {
    const bool whole = number_of(write.value) == 1U;
    add_optional(out, "OOMPolicy", BusValue::string(whole ? "kill" : "continue"));
  }
}

using cgroup_devices::Rule;

std::string permissions_of(const Rule& rule) {
  return std::string(rule.read ? "r" : "") + (rule.write ? "w" : "") + (rule.mknod ? "m" : "");
}

// What stands for the rule in DeviceAllow=, or nothing where systemd has no word for it.
std::optional<std::string> device_name(const Rule& rule) {
  if (rule.type == 'a') return std::nullopt;
  const std::string_view kind = rule.type == 'b' ? "block" : "char";
  if (rule.major && rule.minor) return fmt::format("/dev/{}/{}:{}", kind, *rule.major, *rule.minor);
  if (rule.major) return fmt::format("{}-{}", kind, *rule.major);
  if (!rule.minor) return fmt::format("{}-*", kind);
  return std::nullopt;
}

bool is_everything(const Rule& rule) noexcept {
  return rule.type == 'a' && !rule.major && !rule.minor && rule.read && rule.write && rule.mknod;
}

// The rules as a list of what is allowed, when they are one: nothing but what is allowed after
// everything was denied.
std::optional<std::vector<BusValue>> allow_list(const std::vector<Rule>& rules) {
  std::optional<std::vector<BusValue>> list;
  for (const Rule& rule : rules) {
    if (is_everything(rule)) {
      list.reset();
      if (!rule.allow) list.emplace();
      continue;
    }
    const std::optional<std::string> name = device_name(rule);
    if (!list) continue;
    if (!rule.allow || !name) return std::nullopt;
    list->push_back(
        BusValue::structure({BusValue::string(*name), BusValue::string(permissions_of(rule))}));
  }
  return list;
}

}  // namespace

std::vector<Property> properties_of(const std::vector<Write>& writes) {
  std::vector<Property> out;
  for (const Write& write : writes) add_one(out, write);
  return out;
}

std::vector<Property> properties_of(const cgroup_devices::Plan& devices) {
  std::optional<std::vector<BusValue>> list = allow_list(devices.rules);
  // The empty list first: it takes back what the unit had, and a policy alone would for a moment
  // deny everything that the list is about to allow.
  std::vector<Property> out = {
      {.name = "DeviceAllow", .value = BusValue::array("(ss)", {})},
      {.name = "DevicePolicy", .value = BusValue::string(list ? "strict" : "auto")},
  };
  if (list && !list->empty()) {
    out.push_back({.name = "DeviceAllow", .value = BusValue::array("(ss)", std::move(*list))});
  }
  return out;
}

std::vector<Write> rounded(std::vector<Write> writes) {
  for (Write& write : writes) {
    if (write.file != "cpu.max") continue;
    const std::optional<Quota> quota = quota_of(write.value);
    if (!quota || quota->quota == kInfinity) continue;
    const std::uint64_t period = quota->period.value_or(kDefaultPeriod);
    write.value = fmt::format("{}", per_second(*quota) * period / kMicroseconds);
    if (quota->period) write.value += fmt::format(" {}", period);
  }
  return writes;
}

}  // namespace tare::cgroup_systemd
