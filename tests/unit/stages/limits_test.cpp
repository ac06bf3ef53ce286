#include "stages/limits.hpp"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "../../scratch.hpp"

namespace tare::stages {
namespace {

using test::Scratch;

// A directory in place of a cgroup: `outer` with `inner` in it.
struct Tree {
  Tree() {
    for (const std::string& place : {outer, inner}) {
      REQUIRE(::mkdir(place.c_str(), 0755) == 0);
      put(place, "memory.max", "max\n");
      put(place, "pids.max", "max\n");
      put(place, "memory.events", "low 0\noom 0\noom_kill 0\noom_group_kill 0\n");
      put(place, "memory.events.local", "low 0\noom 0\noom_kill 0\n");
    }
  }
  void put(const std::string& place, const std::string& file, const std::string& text) const {
    scratch.write(place.substr(scratch.path().size() + 1) + "/" + file, text);
  }

  Scratch scratch{};
  std::string outer = scratch.path("outer");
  std::string inner = outer + "/inner";
};

Error failed(int number) {
  return Error::from_errno(number, "clone3()");
}

TEST_CASE("limits: a kill for want of memory is one that the cgroup has counted") {
  const Tree tree;
  CHECK_FALSE(was_out_of_memory(""));
  CHECK_FALSE(was_out_of_memory(tree.inner + "/gone"));
  CHECK_FALSE(was_out_of_memory(tree.inner));
  tree.put(tree.inner, "memory.events", "low 0\noom 1\noom_kill 12\noom_group_kill 0\n");
  CHECK(was_out_of_memory(tree.inner));
}

TEST_CASE("limits: counts are lost with the files of a cgroup, and not where there were none") {
  const Tree tree;
  CHECK_FALSE(has_lost_its_counts(""));
  CHECK_FALSE(has_lost_its_counts(tree.inner));
  CHECK(has_lost_its_counts(tree.outer + "/gone/with/all"));
  const std::string controllers = GENERATE("cpu memory pids\n", "cpu pids\n");
  tree.put(tree.outer, "cgroup.subtree_control", controllers);
  CHECK(has_lost_its_counts(tree.outer + "/gone"));
  // Its files are gone, and the directory not yet; or it never had any.
  REQUIRE(::unlink((tree.inner + "/memory.events").c_str()) == 0);
  CHECK(has_lost_its_counts(tree.inner) == (controllers.find("memory") != std::string::npos));
}

TEST_CASE("limits: the limit of memory is the one that was hit, and not the one below it") {
  const Tree tree;
  tree.put(tree.inner, "memory.max", "8192\n");
  tree.put(tree.outer, "memory.max", "4096\n");
  CHECK(memory_limit_of(tree.inner).empty());
  tree.put(tree.outer, "memory.events.local", "low 0\noom 1\noom_kill 0\n");
  CHECK(memory_limit_of(tree.inner) == "memory.max of " + tree.outer + " is 4096");
  tree.put(tree.inner, "memory.events.local", "low 0\noom 2\noom_kill 1\n");
  CHECK(memory_limit_of(tree.inner) == "memory.max of " + tree.inner + " is 8192");
}

TEST_CASE("limits: EAGAIN is told with the first cgroup that is full") {
  const Tree tree;
  tree.put(tree.inner, "pids.max", "100\n");
  tree.put(tree.inner, "pids.current", "99\n");
  tree.put(tree.outer, "pids.max", "100\n");
  tree.put(tree.outer, "pids.current", "101\n");
  Error error = failed(EAGAIN);
  name_limit_of_clone(error, tree.inner, 0);
  CHECK(error.message() ==
        "clone3(): resource temporarily unavailable: pids.max of " + tree.outer + " is 100");
  tree.put(tree.outer, "pids.current", "9\n");
  Error other = failed(EAGAIN);
  name_limit_of_clone(other, tree.inner, 0);
  CHECK(other.message().find("RLIMIT_NPROC") != std::string::npos);
}

TEST_CASE("limits: EOPNOTSUPP is told with the kind of the cgroup where that is why") {
  const Tree tree;
  tree.put(tree.inner, "cgroup.type", "domain invalid\n");
  Error error = failed(EOPNOTSUPP);
  name_limit_of_clone(error, tree.inner, 0);
  CHECK(error.message().find("cgroup.type of " + tree.inner + " is domain invalid") !=
        std::string::npos);
  tree.put(tree.inner, "cgroup.type", "domain\n");
  Error other = failed(EOPNOTSUPP);
  name_limit_of_clone(other, tree.inner, 0);
  CHECK(other.message() == failed(EOPNOTSUPP).message());
}

TEST_CASE("limits: ENOSPC is told with the limits of the namespaces, other errors are left alone") {
  Error error = failed(ENOSPC);
  name_limit_of_clone(error, "", CLONE_NEWUTS);
  CHECK(error.message().find("/proc/sys/user/max_uts_namespaces is ") != std::string::npos);
  CHECK(error.message().find("max_ipc_namespaces") == std::string::npos);
  Error other = failed(EPERM);
  name_limit_of_clone(other, "", CLONE_NEWUTS);
  CHECK(other.message() == failed(EPERM).message());
}

}  // namespace
}  // namespace tare::stages
