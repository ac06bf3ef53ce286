#include "features/cgroup_update.hpp"

#include <catch2/catch.hpp>

#include "../../scratch.hpp"

namespace tare::cgroup_update {
namespace {

using cgroup_resources::Write;

TEST_CASE("what undoes a value is what the file read before", "[cgroup_update]") {
  CHECK(undo_of("pids.max", "5", "max\n") == "max");
  CHECK(undo_of("cpu.max", "5 6", "max 100000\n") == "max 100000");
  CHECK(undo_of("cpuset.cpus", "0-1", "\n").empty());
}

TEST_CASE("of a file with a line for each device only the value's devices are undone",
          "[cgroup_update]") {
  const char* before = "8:0 rbps=1 wbps=max riops=max wiops=max\n8:16 rbps=7\n";
  CHECK(undo_of("io.max", "8:0 rbps=9", before) == "8:0 rbps=1 wbps=max riops=max wiops=max");
  CHECK(undo_of("io.max", "8:1 rbps=9", before) == "8:1 rbps=max wbps=max riops=max wiops=max");
  CHECK(undo_of("io.max", "8:16 rbps=9\n8:1 wbps=1\n", before) ==
        "8:16 rbps=7\n8:1 rbps=max wbps=max riops=max wiops=max");
  CHECK(undo_of("io.weight", "300", "default 100\n8:0 50\n") == "default 100");
  CHECK(undo_of("io.weight", "8:0 300", "default 100\n8:0 50\n") == "8:0 50");
  CHECK(undo_of("io.bfq.weight", "8:1 300", "default 100\n8:10 50\n") == "8:1 default");
  CHECK(undo_of("rdma.max", "mlx4_0 hca_object=3", "") == "mlx4_0 hca_handle=max hca_object=max");
}

// A directory of plain files in place of a cgroup: writing a file that is not there is refused, as
// by the kernel.
TEST_CASE("what holds is read first, and from the fallback where that is the file",
          "[cgroup_update]") {
  const test::Scratch scratch;
  scratch.write("pids.max", "max\n");
  scratch.write("io.weight", "default 100\n");
  const Write pids{.controller = "pids", .file = "pids.max", .value = "5"};
  const Write weight{.controller = "io",
                     .file = "io.bfq.weight",
                     .value = "500",
                     .fallback_file = "io.weight",
                     .fallback_value = "4950"};
  const Write swap{.file = "memory.swap.max", .value = "max", .may_be_missing = true};
  CHECK(prepare({.writes = {pids, weight, swap}}, {}, scratch.fd()) ==
        std::vector<Step>{{pids, "pids.max", "5", "max"},
                          {weight, "io.weight", "4950", "default 100"}});
  const Write missing{.file = "cgroup.nonesuch", .value = "1", .pointer = "/unified/x"};
  CHECK_THROWS_AS(prepare({.writes = {missing}}, {}, scratch.fd()), Error);
}

TEST_CASE("a value that is refused undoes the ones before, and is named", "[cgroup_update]") {
  const test::Scratch scratch;
  scratch.write("pids.max", "20");
  const std::vector<Step> steps = {{{.pointer = "/pids/limit"}, "pids.max", "50", "20"},
                                   {{.pointer = "/cpu/shares"}, "cpu.weight", "7", "100"}};
  try {
    apply(steps, {.mount_point = "/c", .path = "/a"}, scratch.fd());
    FAIL("nothing was refused");
  } catch (const Error& error) {
    CHECK(error.message() == "write \"7\" to /c/a/cpu.weight: no such file or directory");
    CHECK(error.field() == "/cpu/shares");
  }
  CHECK(scratch.read("pids.max") == "20");
}

TEST_CASE("what cannot be set back is named", "[cgroup_update]") {
  const test::Scratch scratch;
  scratch.write("pids.max", "50");
  const std::vector<Step> steps = {{{}, "pids.max", "50", "20"}, {{}, "gone", "1", "2"}};
  CHECK(revert(steps, scratch.fd()) == "gone");
  CHECK(scratch.read("pids.max") == "20");
}

TEST_CASE("what held before steps can be written again", "[cgroup_update]") {
  const std::vector<Step> steps = {{.file = "pids.max", .value = "5", .undo = "max"},
                                   {.file = "cpu.max", .value = "1 2", .undo = "max 100000"}};
  const std::vector<cgroup_resources::Write> old = old_writes(steps);
  REQUIRE(old.size() == 2);
  CHECK(old[0] == cgroup_resources::Write{.file = "pids.max", .value = "max"});
  CHECK(old[1] == cgroup_resources::Write{.file = "cpu.max", .value = "max 100000"});
}

}  // namespace
}  // namespace tare::cgroup_update
