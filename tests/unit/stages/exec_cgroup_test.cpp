#include "stages/exec_cgroup.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "../../scratch.hpp"
#include "sys/file.hpp"

namespace tare::stages {
namespace {

// What a descriptor is open on, in words for a comparison.
std::string place_of(const sys::Fd& fd) {
  return sys::read_link(sys::FdRef::cwd(), "/proc/self/fd/" + std::to_string(fd.number()));
}

// Directories like those of cgroupfs; the calls do not know the difference.
class Tree {
 public:
  Tree() {
    std::filesystem::create_directories(top() + "/inner/most");
    record.cgroup_directory = top();
  }
  std::string top() const { return scratch_.path() + "/box"; }
  std::string open(const std::string& flag) const {
    ExecRequest request;
    request.cgroup = flag;
    return place_of(open_cgroup(request, record).cgroup);
  }
  Record record{};

 private:
  test::Scratch scratch_;
};

TEST_CASE("a process is born in the container's cgroup, or where --cgroup says", "[exec_cgroup]") {
  const Tree tree;
  CHECK(tree.open("") == tree.top());
  CHECK(tree.open("/") == tree.top());
  CHECK(tree.open("inner/most") == tree.top() + "/inner/most");
  CHECK(tree.open(":inner") == tree.top() + "/inner");
}

TEST_CASE("a process is born where init was delegated to, unless --cgroup says", "[exec_cgroup]") {
  Tree tree;
  tree.record.annotations["run.oci.delegate-cgroup"] = "inner";
  CHECK(tree.open("") == tree.top() + "/inner");
  CHECK(tree.open("/") == tree.top());
}

TEST_CASE("no --cgroup leads out of the container's cgroup", "[exec_cgroup]") {
  const Tree tree;
  for (const char* flag : {"..", "inner/../..", "memory:inner", "nowhere"}) {
    CAPTURE(flag);
    CHECK_THROWS_AS(tree.open(flag), Error);
  }
}

TEST_CASE("a container without a cgroup has none for a process either", "[exec_cgroup]") {
  CHECK_FALSE(open_cgroup({}, {}).cgroup);
}

TEST_CASE("init's cgroup is followed below the container's own only", "[exec_cgroup]") {
  Tree tree;
  tree.record.init.pid = ::getpid();
  CHECK_FALSE(find_cgroup_of_init(tree.record).cgroup);
}

}  // namespace
}  // namespace tare::stages
