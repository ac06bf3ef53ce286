#include "cli/update.hpp"

#include <catch2/catch.hpp>

#include "cli/command.hpp"

namespace tare::cli {
namespace {

std::string resources(std::vector<std::string_view> words) {
  return resources_of(Arguments(kUpdate.flags, kUpdate.order, words));
}

TEST_CASE("update: memory is a number with a unit, or -1", "[update]") {
  const std::pair<std::string_view, std::int64_t> good[] = {{"-1", -1},
                                                            {"0", 0},
                                                            {"4096", 4096},
                                                            {"512M", 512LL << 20},
                                                            {"512mb", 512LL << 20},
                                                            {"64 KiB", 65536},
                                                            {"1.5g", 3LL << 29},
                                                            {"2b", 2}};
  for (const auto& [word, bytes] : good) {
    CAPTURE(word);
    CHECK(parse_memory(word) == bytes);
  }
  for (const std::string_view word : {"", "-2", "M", "12x", "1 2", "1kk", "nan", "inf", "1e3", ".5",
                                      "9223372036854775808", "99999999p"}) {
    CAPTURE(word);
    CHECK(parse_memory(word) == std::nullopt);
  }
}

TEST_CASE("update: flags become linux.resources", "[update]") {
  CHECK(resources({"web"}) == "{}");
  CHECK(resources({"--memory",
                   "1k",
                   "--memory-swap",
                   "-1",
                   "--memory-reservation=512",
                   "--pids-limit",
                   "-1",
                   "--blkio-weight",
                   "500",
                   "--cpu-period",
                   "10000",
                   "--cpu-quota",
                   "-1",
                   "--cpu-burst",
                   "5",
                   "--cpu-share",
                   "7",
                   "--cpu-idle",
                   "1",
                   "--cpuset-cpus",
                   "0-1",
                   "--cpuset-mems",
                   "0",
                   "--cpu-rt-period",
                   "2",
                   "--cpu-rt-runtime",
                   "3",
                   "web"}) ==
        R"({"blockIO":{"weight":500},"cpu":{"burst":5,"cpus":"0-1","idle":1,"mems":"0",)"
        R"("period":10000,"quota":-1,"realtimePeriod":2,"realtimeRuntime":3,"shares":7},)"
        R"("memory":{"limit":1024,"reservation":512,"swap":-1},"pids":{"limit":-1}})");
}

TEST_CASE("update: a value that is no number is refused with its flag", "[update]") {
  CHECK_THROWS_WITH(resources({"--cpu-quota", "many", "web"}),
                    "invalid value for cpu-quota: \"many\" is no number");
  CHECK_THROWS_WITH(resources({"--memory", "12x", "web"}),
                    "invalid value for memory: \"12x\" is no number");
  CHECK_THROWS_AS(resources({"--pids-limit", "5.5", "web"}), Error);
}

}  // namespace
}  // namespace tare::cli
