#include <catch2/catch.hpp>

#include "features/cgroup_stats.hpp"

namespace tare::cgroup_stats {
namespace {

TEST_CASE("of nothing, what runc always writes is left", "[cgroup_stats]") {
  CHECK(as_json({}) ==
        "{\"cpu\":{\"usage\":{\"kernel\":0,\"user\":0},\"throttling\":{}},"
        "\"cpuset\":{\"cpu_exclusive\":0,\"mem_hardwall\":0,\"mem_exclusive\":0,"
        "\"memory_migrate\":0,\"memory_spread_page\":0,\"memory_spread_slab\":0,"
        "\"memory_pressure\":0,\"sched_load_balance\":0,\"sched_relax_domain_level\":0},"
        "\"memory\":{\"usage\":{\"limit\":0,\"failcnt\":0},\"swap\":{\"limit\":0,\"failcnt\":0},"
        "\"kernel\":{\"limit\":0,\"failcnt\":0},\"kernelTCP\":{\"limit\":0,\"failcnt\":0},"
        "\"swapOnly\":{\"limit\":0,\"failcnt\":0}},"
        "\"pids\":{},\"blkio\":{},\"hugetlb\":{},\"intel_rdt\":{},\"network_interfaces\":null}");
}

TEST_CASE("numbers stand where runc has them", "[cgroup_stats]") {
  const Pressure pressure{.some = {150, 7, 10000, 42}, .full = {}};
  const std::string psi =
      "\"psi\":{\"some\":{\"avg10\":1.5,\"avg60\":0.07,\"avg300\":100,\"total\":42},"
      "\"full\":{\"avg10\":0,\"avg60\":0,\"avg300\":0,\"total\":0}}";
  const std::string cpu = as_json({.cpu = {10, 3, 7, 4, 2, 1, pressure}});
  CHECK_THAT(cpu, Catch::StartsWith("{\"cpu\":{\"usage\":{\"total\":10,\"kernel\":3,\"user\":7},"
                                    "\"throttling\":{\"periods\":4,\"throttledPeriods\":2,"
                                    "\"throttledTime\":1}," +
                                    psi + "},\"cpuset\":"));
  CHECK_THAT(as_json({.cpus = "0-2,7", .nodes = "1"}),
             Catch::Contains("\"cpuset\":{\"cpus\":[0,1,2,7],\"cpu_exclusive\":0,\"mems\":[1],"));
  CHECK_THAT(as_json({.pids = {5, 10, 7}}),
             Catch::Contains("\"pids\":{\"current\":5,\"limit\":10,\"peak\":7}"));
  CHECK_THAT(as_json({.huge_pages = {{"2MB", {4096, 3}}, {"1GB", {}}}}),
             Catch::Contains("\"hugetlb\":{\"1GB\":{\"failcnt\":0},"
                             "\"2MB\":{\"usage\":4096,\"failcnt\":3}}"));
  CHECK_THAT(as_json({.io = {{{8, 0, "Read", 5}}, {{0, 3, "Write", 0}}, pressure}}),
             Catch::Contains("\"blkio\":{\"ioServiceBytesRecursive\":[{\"major\":8,\"op\":\"Read\","
                             "\"value\":5}],\"ioServicedRecursive\":[{\"minor\":3,\"op\":"
                             "\"Write\"}]," +
                             psi + "}"));
  CHECK_THAT(as_json({}, "{\"schemata\":[\"L3:0=f\"]}"),
             Catch::Contains("\"intel_rdt\":{\"schemata\":[\"L3:0=f\"]},"));
}

TEST_CASE("memory and swap are counted together, as v1 did, and swap alone besides",
          "[cgroup_stats]") {
  CHECK_THAT(as_json({.memory = {.usage = {100, 50, 70},
                                 .swap = {30, 20, 25},
                                 .raw = {{"file", 9}, {"anon", 1}}}}),
             Catch::Contains("\"memory\":{\"cache\":9,"
                             "\"usage\":{\"limit\":100,\"usage\":50,\"max\":70,\"failcnt\":0},"
                             "\"swap\":{\"limit\":130,\"usage\":70,\"failcnt\":0},") &&
                 Catch::Contains("\"raw\":{\"anon\":1,\"file\":9},\"swapOnly\":{\"limit\":30,"
                                 "\"usage\":20,\"max\":25,\"failcnt\":0}}"));
  // No limit and a limit are no limit.
  CHECK_THAT(as_json({.memory = {.usage = {kNoLimit, 1, 1}, .swap = {30, 0, 0}}}),
             Catch::Contains("\"swap\":{\"limit\":18446744073709551615,\"usage\":1,"));
}

TEST_CASE("a list of CPUs that makes no sense ends", "[cgroup_stats]") {
  CHECK_THAT(as_json({.cpus = "0-4294967295"}), Catch::Contains(",8190,8191]"));
  CHECK_THAT(as_json({.cpus = "3-1,x-,5"}), Catch::Contains("5],\"cpu_exclusive\""));
}

}  // namespace
}  // namespace tare::cgroup_stats
