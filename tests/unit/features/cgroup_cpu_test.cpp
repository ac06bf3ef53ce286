#include "features/cgroup_cpu.hpp"

#include <catch2/catch.hpp>

namespace tare::cgroup_cpu {
namespace {

using cgroup_resources::Spec;

Spec read_text(const std::string& resources) {
  const spec::Document document("resources", resources);
  Spec spec;
  read(document.top(), {}, spec);
  return spec;
}

// "memory.max=1; memory.low=2": what would be written, in its order.
std::string writes(const std::string& resources) {
  std::string text;
  for (const cgroup_resources::Write& write : read_text(resources).writes) {
    text += (text.empty() ? "" : "; ") + write.file + "=" + write.value;
  }
  return text;
}

TEST_CASE("shares become the weight that runc gives", "[cgroup_cpu]") {
  const std::pair<std::uint64_t, std::uint64_t> table[] = {
      {0, 0}, {1, 1},    {2, 1},      {1024, 100}, {262144, 10000}, {262145, 10000},
      {3, 2}, {512, 59}, {2048, 174}, {4096, 303}, {8192, 532}};
  for (const auto& [shares, weight] : table) {
    CAPTURE(shares);
    CHECK(weight_of_shares(shares) == weight);
  }
}

TEST_CASE("more shares are never less weight, and every weight is the kernel's to take",
          "[cgroup_cpu]") {
  std::uint64_t last = 1;
  for (std::uint64_t shares = 1; shares <= 262200; ++shares) {
    const std::uint64_t weight = weight_of_shares(shares);
    if (weight < last || weight > 10000) FAIL("shares " << shares << " give " << weight);
    last = weight;
  }
  CHECK(last == 10000);
}

TEST_CASE("cpu limits in the order in which the kernel takes them", "[cgroup_cpu]") {
  CHECK(writes(R"({"cpu": {"shares": 1024, "quota": 50000, "period": 200000, "burst": 1000,
                           "idle": 0, "cpus": "0-1", "mems": "0"}})") ==
        "cpu.idle=0; cpu.weight=100; cpu.max.burst=1000; cpu.max=50000 200000; cpuset.cpus=0-1; "
        "cpuset.mems=0");
  CHECK(writes(R"({"cpu": {"quota": 50000}})") == "cpu.max=50000 100000");
  CHECK(writes(R"({"cpu": {"period": 50000}})") == "cpu.max=max 50000");
  CHECK(writes(R"({"cpu": {"quota": -1}})") == "cpu.max=max 100000");
  CHECK(writes(R"({"cpu": {"idle": 1}})") == "cpu.idle=1");
  CHECK_THROWS_WITH(writes(R"({"cpu": {"idle": 1, "shares": 2}})"),
                    Catch::Contains("cpu/shares: a cgroup that is idle has no shares"));
}

}  // namespace
}  // namespace tare::cgroup_cpu
