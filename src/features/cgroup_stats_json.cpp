// The form of `runc events`: v1's names for v2's numbers. Members are written in the order of
// runc's types, and one that Go leaves out when it is 0 is left out.
#include <charconv>
#include <nlohmann/json.hpp>

#include "features/cgroup_stats.hpp"

namespace tare::cgroup_stats {
namespace {

using nlohmann::ordered_json;

// Lists come from the kernel, which has no more CPUs than this (CONFIG_NR_CPUS).
constexpr unsigned kHighestCpu = 8191;

// omitempty of a number.
void add_unless_0(ordered_json& object, const char* key, std::uint64_t value) {
  if (value != 0) object[key] = value;
}

// omitempty of a list or a map.
void add_unless_empty(ordered_json& object, const char* key, ordered_json value) {
  if (!value.empty()) object[key] = std::move(value);
}

// Of an amount without limit and any other the sum has none, and does not begin again at 0.
std::uint64_t add_saturated(std::uint64_t left, std::uint64_t right) noexcept {
  return left > kNoLimit - right ? kNoLimit : left + right;
}

// As Go prints a float64: 0, 1.5, 100.
ordered_json percent(std::uint64_t hundredths) {
  if (hundredths % 100 == 0) return hundredths / 100;
  return static_cast<double>(hundredths) / 100;
}

ordered_json of(const Stall& stall) {
  return {{"avg10", percent(stall.avg10)},
          {"avg60", percent(stall.avg60)},
          {"avg300", percent(stall.avg300)},
          {"total", stall.total_us}};
}

// A pointer in Go: absent where the kernel does not tell, and whole where it does.
void add_pressure(ordered_json& object, const std::optional<Pressure>& pressure) {
  if (pressure) object["psi"] = {{"some", of(pressure->some)}, {"full", of(pressure->full)}};
}

ordered_json of(const Cpu& cpu) {
  ordered_json usage = ordered_json::object();
  add_unless_0(usage, "total", cpu.total_ns);
  usage["kernel"] = cpu.kernel_ns;
  usage["user"] = cpu.user_ns;
  ordered_json throttling = ordered_json::object();
  add_unless_0(throttling, "periods", cpu.periods);
  add_unless_0(throttling, "throttledPeriods", cpu.throttled_periods);
  add_unless_0(throttling, "throttledTime", cpu.throttled_ns);
  ordered_json out{{"usage", std::move(usage)}, {"throttling", std::move(throttling)}};
  add_pressure(out, cpu.pressure);
  return out;
}

// "0-3,7" as [0,1,2,3,7].
ordered_json numbers_of(std::string_view list) {
  ordered_json numbers = ordered_json::array();
  const char* at = list.data();
  const char* const end = at + list.size();
  while (at < end) {
    unsigned first = 0;
    at = std::from_chars(at, end, first).ptr;
    unsigned last = first;
    if (at < end && *at == '-') at = std::from_chars(at + 1, end, last).ptr;
    for (; first <= last && first <= kHighestCpu; ++first) numbers.push_back(first);
    if (at < end) ++at;
  }
  return numbers;
}

// runc tells of no CPUs with v2, though its schema has a place for them.
ordered_json cpuset_of(const Stats& stats) {
  ordered_json out = ordered_json::object();
  add_unless_empty(out, "cpus", numbers_of(stats.cpus));
  out["cpu_exclusive"] = 0;
  add_unless_empty(out, "mems", numbers_of(stats.nodes));
  // Only v1 has these.
  for (const char* key : {"mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
                          "memory_spread_slab", "memory_pressure", "sched_load_balance",
                          "sched_relax_domain_level"}) {
    out[key] = 0;
  }
  return out;
}

// v1 counted how often the limit was hit; runc says 0 of v2, whose memory.events says more than one
// number can.
ordered_json of(const Amount& amount) {
  ordered_json out{{"limit", amount.limit_bytes}};
  add_unless_0(out, "usage", amount.usage_bytes);
  add_unless_0(out, "max", amount.peak_bytes);
  out["failcnt"] = 0;
  return out;
}

// v1 counts memory and swap together, and what they were at most together nobody knows.
Amount together(const Memory& memory) noexcept {
  return {.limit_bytes = add_saturated(memory.usage.limit_bytes, memory.swap.limit_bytes),
          .usage_bytes = add_saturated(memory.usage.usage_bytes, memory.swap.usage_bytes)};
}

ordered_json of(const Memory& memory) {
  ordered_json out = ordered_json::object();
  if (const auto cache = memory.raw.find("file"); cache != memory.raw.end()) {
    add_unless_0(out, "cache", cache->second);
  }
  out["usage"] = of(memory.usage);
  out["swap"] = of(together(memory));
  // v2 has no limits of their own for these; what the kernel uses is in `raw`.
  out["kernel"] = of(Amount{});
  out["kernelTCP"] = of(Amount{});
  add_unless_empty(out, "raw", memory.raw);
  add_pressure(out, memory.pressure);
  // After all that is runc's, so that who reads by position reads the same.
  out["swapOnly"] = of(memory.swap);
  return out;
}

ordered_json of(const Pids& pids) {
  ordered_json out = ordered_json::object();
  add_unless_0(out, "current", pids.current);
  add_unless_0(out, "limit", pids.limit);
  add_unless_0(out, "peak", pids.peak);
  return out;
}

// A file of v1 for each of these: blkio.throttle.io_service_bytes_recursive and the like. The
// others that runc knows (queued, merged, times, sectors) v2 does not count.
ordered_json of(const std::vector<DeviceCount>& counts) {
  ordered_json out = ordered_json::array();
  for (const DeviceCount& count : counts) {
    ordered_json entry = ordered_json::object();
    add_unless_0(entry, "major", count.major);
    add_unless_0(entry, "minor", count.minor);
    entry["op"] = count.operation;
    add_unless_0(entry, "value", count.value);
    out.push_back(std::move(entry));
  }
  return out;
}

ordered_json of(const BlockIo& io) {
  ordered_json out = ordered_json::object();
  add_unless_empty(out, "ioServiceBytesRecursive", of(io.bytes));
  add_unless_empty(out, "ioServicedRecursive", of(io.operations));
  add_pressure(out, io.pressure);
  return out;
}

ordered_json of(const std::map<std::string, HugePages>& sizes) {
  ordered_json out = ordered_json::object();
  for (const auto& [size, pages] : sizes) {
    ordered_json entry = ordered_json::object();
    add_unless_0(entry, "usage", pages.usage_bytes);
    entry["failcnt"] = pages.failures;
    out[size] = std::move(entry);
  }
  return out;
}

}  // namespace

std::string as_json(const Stats& stats, std::string_view intel_rdt) {
  ordered_json out{{"cpu", of(stats.cpu)},
                   {"cpuset", cpuset_of(stats)},
                   {"memory", of(stats.memory)},
                   {"pids", of(stats.pids)},
                   {"blkio", of(stats.io)},
                   {"hugetlb", of(stats.huge_pages)},
                   {"intel_rdt", ordered_json::parse(intel_rdt)}};
  // runc knows of interfaces that it has made itself, of which there are none: Go's empty list.
  out["network_interfaces"] = nullptr;
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace tare::cgroup_stats
