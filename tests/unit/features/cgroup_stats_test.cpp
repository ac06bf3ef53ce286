#include "features/cgroup_stats.hpp"

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "tare/error.hpp"

namespace tare::cgroup_stats {
namespace {

TEST_CASE("a number is one of the kernel's", "[cgroup_stats]") {
  CHECK(parse_number("17\n", "f") == 17);
  CHECK(parse_number("max\n", "f") == kNoLimit);
  CHECK(parse_number("18446744073709551615", "f") == kNoLimit);
  // Sums of counters that are not locked can be shown below 0.
  CHECK(parse_number("-4096\n", "f") == 0);
  for (const char* bad : {"", "\n", "many", "1 2", "18446744073709551616", "-", "1x", "maximum"}) {
    INFO(bad);
    CHECK_THROWS_WITH(parse_number(bad, "pids.max"), Catch::Contains("unable to parse pids.max"));
  }
}

TEST_CASE("a table is a key and a number a line", "[cgroup_stats]") {
  using Table = std::map<std::string, std::uint64_t>;
  CHECK(parse_table("anon 4096\nfile 0\n", "f") == Table{{"anon", 4096}, {"file", 0}});
  CHECK(parse_table("anon 1", "f") == Table{{"anon", 1}});
  CHECK(parse_table("", "f").empty());
  for (const char* bad : {"anon\n", "anon \n", " 5\n", "a 1\n\nb 2\n", "a b c\n"}) {
    INFO(bad);
    CHECK_THROWS_WITH(parse_table(bad, "memory.stat"), Catch::Contains("parse memory.stat"));
  }
}

TEST_CASE("pressure has two decimals and microseconds", "[cgroup_stats]") {
  const Pressure both = parse_pressure(
      "some avg10=1.53 avg60=0.87 avg300=100.00 total=4294967296\n"
      "full avg10=0.00 avg60=0.05 avg300=12.30 total=9\n",
      "cpu.pressure");
  CHECK(both == Pressure{.some = {153, 87, 10000, 4294967296}, .full = {0, 5, 1230, 9}});
  // Before Linux 5.13 a CPU had no "full".
  CHECK(parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", "f") ==
        Pressure{.some = {.total_us = 7}});
  CHECK_THROWS_WITH(parse_pressure("some avg10=1.5\n", "io.pressure"),
                    Catch::Contains("parse io.pressure"));
  CHECK_THROWS_AS(parse_pressure("some avg10=1\n", "f"), Error);
  CHECK_THROWS_AS(parse_pressure("full total=x\n", "f"), Error);
}

TEST_CASE("of io.stat, bytes and operations of each device are read", "[cgroup_stats]") {
  const BlockIo io = parse_io(
      "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=5 dios=1 cost.usage=3\n"
      "7:0 rbytes=1 wbytes=0 rios=2 wios=0\n");
  CHECK(io == BlockIo{.bytes = {{8, 16, "Read", 1459200},
                                {8, 16, "Write", 314773504},
                                {7, 0, "Read", 1},
                                {7, 0, "Write", 0}},
                      .operations = {{8, 16, "Read", 192},
                                     {8, 16, "Write", 353},
                                     {7, 0, "Read", 2},
                                     {7, 0, "Write", 0}}});
  CHECK(parse_io("") == BlockIo{});
}

TEST_CASE("a device of io.stat without numbers gives none to the next one", "[cgroup_stats]") {
  CHECK(parse_io("8:0 \n").bytes.empty());
  CHECK(parse_io("253:10 253:5 rbytes=4 \n").bytes ==
        std::vector<DeviceCount>{{253, 5, "Read", 4}});
  CHECK_THROWS_AS(parse_io("8:x rbytes=1\n"), Error);
  CHECK_THROWS_AS(parse_io("8:0 rbytes=many\n"), Error);
}

TEST_CASE("huge pages are called as the files of the cgroup are", "[cgroup_stats]") {
  CHECK(size_of_pages("hugepages-64kB") == "64KB");
  CHECK(size_of_pages("hugepages-2048kB") == "2MB");
  CHECK(size_of_pages("hugepages-1048576kB") == "1GB");
  for (const char* bad : {"", "hugepages-kB", "hugepages-0kB", "hugepages-2MB", "x-2kB",
                          "hugepages-2x4kB", "hugepages-2048kBB"}) {
    INFO(bad);
    CHECK(size_of_pages(bad).empty());
  }
}

// Plain files in place of a cgroup's.
TEST_CASE("every number comes from its own file", "[cgroup_stats]") {
  const test::Scratch scratch;
  scratch.write("cpu.stat",
                "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 4\n"
                "throttled_usec 3\nnr_bursts 0\n");
  scratch.write("cpu.pressure", "some avg10=0.01 avg60=0.00 avg300=0.00 total=1\n");
  scratch.write("cpuset.cpus.effective", "0-1\n");
  scratch.write("cpuset.mems.effective", "0\n");
  scratch.write("memory.stat", "anon 7\nfile 8\n");
  scratch.write("memory.current", "100\n");
  scratch.write("memory.max", "200\n");
  scratch.write("memory.peak", "150\n");
  scratch.write("memory.swap.current", "1\n");
  scratch.write("memory.swap.max", "max\n");
  scratch.write("memory.swap.peak", "2\n");
  scratch.write("memory.pressure", "full avg10=0.02 avg60=0.00 avg300=0.00 total=2\n");
  scratch.write("pids.current", "3\n");
  scratch.write("pids.max", "9\n");
  scratch.write("pids.peak", "4\n");
  scratch.write("io.stat", "8:0 rbytes=5\n");
  scratch.write("io.pressure", "some avg10=0.03 avg60=0.00 avg300=0.00 total=3\n");
  CHECK(read(scratch.fd()) ==
        Stats{.cpu = {.total_ns = 30'000,
                      .kernel_ns = 10'000,
                      .user_ns = 20'000,
                      .periods = 5,
                      .throttled_periods = 4,
                      .throttled_ns = 3'000,
                      .pressure = Pressure{.some = {.avg10 = 1, .total_us = 1}}},
              .cpus = "0-1",
              .nodes = "0",
              .memory = {.usage = {.limit_bytes = 200, .usage_bytes = 100, .peak_bytes = 150},
                         .swap = {.limit_bytes = kNoLimit, .usage_bytes = 1, .peak_bytes = 2},
                         .raw = {{"anon", 7}, {"file", 8}},
                         .pressure = Pressure{.full = {.avg10 = 2, .total_us = 2}}},
              .pids = {.current = 3, .limit = 9, .peak = 4},
              .io = {.bytes = {{8, 0, "Read", 5}},
                     .pressure = Pressure{.some = {.avg10 = 3, .total_us = 3}}}});
}

TEST_CASE("what is not there counts nothing, and processes are counted all the same",
          "[cgroup_stats]") {
  const test::Scratch scratch;
  CHECK(read(scratch.fd()) == Stats{});
  scratch.write("cgroup.threads", "5\n6\n7\n");
  CHECK(read(scratch.fd()) == Stats{.pids = {.current = 3}});
  scratch.write("cgroup.procs", "5\n6\n");
  CHECK(read(scratch.fd()) == Stats{.pids = {.current = 2}});
  scratch.write("pids.current", "2\n");
  scratch.write("pids.max", "max\n");
  CHECK(read(scratch.fd()) == Stats{.pids = {.current = 2}});
}

TEST_CASE("a file that is not what the kernel documents is named", "[cgroup_stats]") {
  const test::Scratch scratch;
  scratch.write("pids.current", "several\n");
  CHECK_THROWS_WITH(read(scratch.fd()), "unable to parse pids.current: \"several\"");
}

}  // namespace
}  // namespace tare::cgroup_stats
