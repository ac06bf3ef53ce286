#include "features/cgroup_controllers.hpp"

#include <catch2/catch.hpp>
#include <cerrno>

#include "../../scratch.hpp"

namespace tare::cgroup_controllers {
namespace {

TEST_CASE("every cgroup above passes on what it does not yet, and no more",
          "[cgroup_controllers]") {
  const test::Scratch scratch;
  sys::make_directory(scratch.fd(), "a", 0755);
  sys::make_directory(scratch.fd(), "a/b", 0755);
  scratch.write("cgroup.subtree_control", "memory pids\n");
  scratch.write("a/cgroup.subtree_control", "pids\n");
  scratch.write("a/b/cgroup.subtree_control", "");
  enable({"memory", "pids"}, {.mount_point = scratch.path(), .path = "/a/b"});
  // Plain files keep what was in them behind what is written.
  CHECK(scratch.read("cgroup.subtree_control") == "memory pids\n");
  CHECK(scratch.read("a/cgroup.subtree_control").starts_with("+memory"));
  CHECK(scratch.read("a/b/cgroup.subtree_control").empty());
}

TEST_CASE("the cgroup that does not pass a controller on is named", "[cgroup_controllers]") {
  const test::Scratch scratch;
  scratch.write("cgroup.subtree_control", "memory\n");
  try {
    enable({"memory", "pids"}, {.mount_point = scratch.path(), .path = "/gone/b"});
    FAIL("nothing was refused");
  } catch (const Error& error) {
    CHECK(error.message() == scratch.path() +
                                 "/gone does not pass on: memory, pids: write \"+memory "
                                 "+pids\" to " +
                                 scratch.path() +
                                 "/gone/cgroup.subtree_control: no such file or directory");
    CHECK(error.hint() == scratch.path() + "/gone has not got the controller itself");
  }
}

}  // namespace
}  // namespace tare::cgroup_controllers
