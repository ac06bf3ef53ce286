#include <catch2/catch.hpp>
#include <string>

#include "features/cgroup_systemd.hpp"
#include "tare/error.hpp"

namespace tare::cgroup_systemd {
namespace {

using cgroup_resources::Write;
using sys::BusValue;

std::vector<Write> writes(std::vector<std::pair<std::string, std::string>> values) {
  std::vector<Write> out;
  for (auto& [file, value] : values) out.push_back({.file = file, .value = value});
  return out;
}

Property limit(std::string name, BusValue value) {
  return {.name = std::move(name), .value = std::move(value), .optional = true};
}

constexpr std::uint64_t kInfinity = ~std::uint64_t{0};

TEST_CASE("each limit is the property that systemd has for it", "[cgroup_systemd]") {
  struct Case {
    std::string file;
    std::string value;
    std::vector<Property> properties;
  };
  const Case cases[] = {
      {"memory.max", "1048576", {limit("MemoryMax", BusValue::uint64(1048576))}},
      {"memory.max", "max", {limit("MemoryMax", BusValue::uint64(kInfinity))}},
      {"memory.low", "5", {limit("MemoryLow", BusValue::uint64(5))}},
      {"memory.min", "5", {limit("MemoryMin", BusValue::uint64(5))}},
      {"memory.high", "5", {limit("MemoryHigh", BusValue::uint64(5))}},
      {"memory.swap.max", "0", {limit("MemorySwapMax", BusValue::uint64(0))}},
      {"memory.zswap.max", "0", {limit("MemoryZSwapMax", BusValue::uint64(0))}},
      {"memory.oom.group", "1", {limit("OOMPolicy", BusValue::string("kill"))}},
      {"memory.oom.group", "0", {limit("OOMPolicy", BusValue::string("continue"))}},
      {"cpu.weight", "100", {limit("CPUWeight", BusValue::uint64(100))}},
      {"cpu.idle", "1", {limit("CPUWeight", BusValue::uint64(0))}},
      {"cpu.idle", "0", {}},
      {"pids.max", "7", {limit("TasksMax", BusValue::uint64(7))}},
      // systemd takes no 0.
      {"pids.max", "0", {limit("TasksMax", BusValue::uint64(1))}},
      {"cpu.max",
       "50000 100000",
       {limit("CPUQuotaPeriodUSec", BusValue::uint64(100000)),
        limit("CPUQuotaPerSecUSec", BusValue::uint64(500000))}},
      {"cpu.max", "50000", {limit("CPUQuotaPerSecUSec", BusValue::uint64(500000))}},
      {"cpu.max",
       "max 100000",
       {limit("CPUQuotaPeriodUSec", BusValue::uint64(100000)),
        limit("CPUQuotaPerSecUSec", BusValue::uint64(kInfinity))}},
      {"hugetlb.2MB.max", "1", {}},
      {"memory.max", "nonsense", {}},
      {"cpu.max", "nonsense 5", {}},
  };
  for (const Case& one : cases) {
    CAPTURE(one.file, one.value);
    CHECK(properties_of(writes({{one.file, one.value}})) == one.properties);
  }
}

TEST_CASE("CPUs and nodes are masks, the lowest byte first", "[cgroup_systemd]") {
  const auto mask = [](std::vector<std::uint64_t> bytes) {
    std::vector<BusValue> items;
    for (const std::uint64_t byte : bytes) items.push_back({"y", byte});
    return BusValue::array("y", items);
  };
  CHECK(properties_of(writes({{"cpuset.cpus", "0-3,9"}})) ==
        std::vector<Property>{limit("AllowedCPUs", mask({0x0F, 0x02}))});
  CHECK(properties_of(writes({{"cpuset.mems", "0"}})) ==
        std::vector<Property>{limit("AllowedMemoryNodes", mask({1}))});
  for (const char* list : {"", "a", "3-1", "99999999"}) {
    CAPTURE(list);
    CHECK(properties_of(writes({{"cpuset.cpus", list}})).empty());
  }
}

TEST_CASE("of weight and idle, which are one property, the later counts", "[cgroup_systemd]") {
  CHECK(properties_of(writes({{"cpu.weight", "100"}, {"cpu.idle", "1"}})) ==
        std::vector<Property>{limit("CPUWeight", BusValue::uint64(0))});
}

TEST_CASE("a quota is rounded up to what systemd keeps, and to the same in cgroupfs",
          "[cgroup_systemd]") {
  struct Case {
    std::string before;
    std::string after;
  };
  for (const Case& one :
       {Case{"50001 100000", "51000 100000"}, Case{"50000 100000", "50000 100000"},
        Case{"1001", "2000"}, Case{"max 100000", "max 100000"}, Case{"nonsense", "nonsense"},
        Case{"1 1000000", "10000 1000000"}}) {
    CAPTURE(one.before);
    CHECK(rounded(writes({{"cpu.max", one.before}})) == writes({{"cpu.max", one.after}}));
  }
  CHECK(rounded(writes({{"cpu.weight", "50001"}})) == writes({{"cpu.weight", "50001"}}));
}

BusValue allowed(const std::string& name, const std::string& access) {
  return BusValue::structure({BusValue::string(name), BusValue::string(access)});
}

cgroup_devices::Rule rule(bool allow, char type, std::optional<std::uint32_t> major = {},
                          std::optional<std::uint32_t> minor = {}) {
  return {.allow = allow,
          .type = type,
          .major = major,
          .minor = minor,
          .read = true,
          .write = true,
          .mknod = true};
}

TEST_CASE("a list of allowed devices is told to systemd after the empty list and the policy",
          "[cgroup_systemd]") {
  const std::vector<Property> properties = properties_of(
      cgroup_devices::Plan{{rule(false, 'a'), rule(true, 'c', 1, 3), rule(true, 'c', 136),
                            rule(true, 'b'), rule(true, 'b', 8, 0)}});
  REQUIRE(properties.size() == 3);
  CHECK(properties[0] == Property{.name = "DeviceAllow", .value = BusValue::array("(ss)", {})});
  CHECK(properties[1] == Property{.name = "DevicePolicy", .value = BusValue::string("strict")});
  CHECK(properties[2].value ==
        BusValue::array("(ss)", {allowed("/dev/char/1:3", "rwm"), allowed("char-136", "rwm"),
                                 allowed("block-*", "rwm"), allowed("/dev/block/8:0", "rwm")}));
}

TEST_CASE("rules that systemd has no words for are left to our own filter", "[cgroup_systemd]") {
  using Rules = std::vector<cgroup_devices::Rule>;
  for (const Rules& rules : {Rules{rule(false, 'a'), rule(true, 'c'), rule(false, 'c', 1, 3)},
                             Rules{rule(false, 'a'), rule(true, 'c', std::nullopt, 3)},
                             Rules{rule(true, 'a'), rule(false, 'c', 1, 3)}, Rules{rule(true, 'a')},
                             Rules{rule(false, 'a'), rule(true, 'a')}, Rules{}}) {
    CHECK(properties_of(cgroup_devices::Plan{rules}) ==
          std::vector<Property>{{.name = "DeviceAllow", .value = BusValue::array("(ss)", {})},
                                {.name = "DevicePolicy", .value = BusValue::string("auto")}});
  }
}

}  // namespace
}  // namespace tare::cgroup_systemd
