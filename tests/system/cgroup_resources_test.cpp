#include "features/cgroup_resources.hpp"

#include "cgroup_scratch.hpp"

namespace tare::cgroup_resources {
namespace {

using test::CgroupScratch;
using test::Sleeper;

Host host_here() {
  return probe_host({.own_cgroup = true, .controllers = true});
}

bool has_controller(const Host& host, const std::string& name) {
  if (!test::can_make_cgroups(host)) return false;
  if (host.cgroup.controllers.contains(name)) return true;
  WARN("skipped: no controller \"" << name << "\" in the cgroup v2 tree of this machine");
  return false;
}

Plan plan_text(const std::string& resources, const cgroup::Plan& cgroup, const Host& host) {
  const spec::Document document("config.json", resources);
  return plan(read_resources(document.top(), ZeroPids::limit, {}), cgroup, host);
}

// Limits a cgroup that is made for it; what reached the kernel is in its files.
void limit(const CgroupScratch& scratch, const std::string& below, const std::string& resources) {
  const cgroup::Plan cgroup = scratch.plan(below);
  const sys::Fd directory = scratch.make(below);
  apply_in_parent(plan_text(resources, cgroup, host_here()), cgroup, directory);
}

std::string limit_error(const CgroupScratch& scratch, const std::string& below,
                        const std::string& resources) {
  try {
    limit(scratch, below, resources);
  } catch (const Error& error) {
    return error.message() + " / " + error.field() + " / " + error.hint();
  }
  return "it was limited";
}

TEST_CASE("a limit of the cgroup itself needs no controller", "[cgroup_resources]") {
  const Host host = host_here();
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  limit(scratch, "/a", R"({"unified": {"cgroup.max.depth": "3"}})");
  CHECK(scratch.value("/a/cgroup.max.depth") == "3\n");
}

TEST_CASE("a controller is enabled in every cgroup above, and not in the container's own",
          "[cgroup_resources]") {
  const Host host = host_here();
  if (!has_controller(host, "hugetlb")) return;
  CgroupScratch scratch(host);
  limit(scratch, "/a/b", R"({"unified": {"hugetlb.2MB.max": "4194304"}})");
  CHECK(scratch.value("/a/b/hugetlb.2MB.max") == "4194304\n");
  CHECK(scratch.value("/a/cgroup.subtree_control").find("hugetlb") != std::string::npos);
  CHECK(scratch.value("/a/b/cgroup.subtree_control").find("hugetlb") == std::string::npos);
}

TEST_CASE("lines of a unified value are written one by one", "[cgroup_resources]") {
  const Host host = host_here();
  if (!has_controller(host, "hugetlb")) return;
  CgroupScratch scratch(host);
  limit(scratch, "/a", R"({"unified": {"hugetlb.2MB.max": "4194304\n2097152\n"}})");
  CHECK(scratch.value("/a/hugetlb.2MB.max") == "2097152\n");
}

TEST_CASE("a value that the kernel refuses is shown with its file and field",
          "[cgroup_resources]") {
  const Host host = host_here();
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  CHECK(limit_error(scratch, "/a", R"({"unified": {"cgroup.max.depth": "deep"}})") ==
        "unable to set unified resource \"cgroup.max.depth\": write \"deep\" to " +
            scratch.directory("/a/cgroup.max.depth") +
            ": invalid argument / /unified/cgroup.max.depth / ");
}

TEST_CASE("a file that no kernel has is an error even where its controller is there",
          "[cgroup_resources]") {
  const Host host = host_here();
  if (!has_controller(host, "hugetlb")) return;
  CgroupScratch scratch(host);
  CHECK(limit_error(scratch, "/a", R"({"unified": {"hugetlb.no.such": "1"}})")
            .find(": no such file or directory / /unified/hugetlb.no.such") != std::string::npos);
}

TEST_CASE("a parent with a process in it passes no controller on, and the error says so",
          "[cgroup_resources]") {
  const Host host = host_here();
  if (!has_controller(host, "hugetlb")) return;
  CgroupScratch scratch(host);
  const sys::Fd parent = scratch.make("");
  Sleeper sleeper(parent);
  const std::string message =
      limit_error(scratch, "/a", R"({"unified": {"hugetlb.2MB.max": "4194304"}})");
  CHECK(message.starts_with(scratch.directory("") +
                            " does not pass on: hugetlb: write \"+hugetlb\""));
  CHECK(message.find("cgroup.subtree_control: device or resource busy / "
                     "/unified/hugetlb.2MB.max") != std::string::npos);
  CHECK(message.find("may hold none") != std::string::npos);
}

TEST_CASE("a limit of huge pages holds for what is used and what is reserved",
          "[cgroup_resources]") {
  const Host host = host_here();
  if (!has_controller(host, "hugetlb")) return;
  CgroupScratch scratch(host);
  limit(scratch, "/a", R"({"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]})");
  CHECK(scratch.value("/a/hugetlb.2MB.max") == "4194304\n");
  CHECK(scratch.value("/a/hugetlb.2MB.rsvd.max") == "4194304\n");
  CHECK(limit_error(scratch, "/b", R"({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]})")
            .find("/hugepageLimits/0/limit / this machine has no huge pages of that size") !=
        std::string::npos);
}

TEST_CASE("memory, swap and pids limits reach the kernel", "[cgroup_resources]") {
  const Host host = host_here();
  if (!has_controller(host, "memory") || !has_controller(host, "pids")) return;
  CgroupScratch scratch(host);
  limit(scratch, "/a", R"({"memory": {"limit": 33554432, "swap": 67108864, "reservation": 1048576},
                           "pids": {"limit": 0}})");
  CHECK(scratch.value("/a/memory.max") == "33554432\n");
  CHECK(scratch.value("/a/memory.low") == "1048576\n");
  CHECK(scratch.value("/a/pids.max") == "1\n");
}

TEST_CASE("a limit below what is used is refused where it is to be checked", "[cgroup_resources]") {
  const Host host = host_here();
  if (!has_controller(host, "memory")) return;
  CgroupScratch scratch(host);
  limit(scratch, "/a", R"({"memory": {"limit": 33554432}})");
  const sys::Fd directory = sys::open_at(sys::FdRef::cwd(), scratch.directory("/a"), O_RDONLY);
  Sleeper sleeper(directory);
  const cgroup::Plan cgroup = scratch.plan("/a");
  const Plan plan =
      plan_text(R"({"memory": {"limit": 1, "checkBeforeUpdate": true}})", cgroup, host);
  CHECK_THROWS_WITH(apply_in_parent(plan, cgroup, directory),
                    Catch::Matchers::StartsWith("rejecting memory limit 1 <= usage "));
  CHECK(scratch.value("/a/memory.max") == "33554432\n");
}

TEST_CASE("cpu limits reach the kernel, a burst above the old quota too", "[cgroup_resources]") {
  const Host host = host_here();
  if (!has_controller(host, "cpu")) return;
  CgroupScratch scratch(host);
  limit(scratch, "/a", R"({"cpu": {"shares": 2048, "quota": 20000, "period": 50000}})");
  CHECK(scratch.value("/a/cpu.weight") == "174\n");
  CHECK(scratch.value("/a/cpu.max") == "20000 50000\n");
  limit(scratch, "/a", R"({"cpu": {"quota": 40000, "period": 50000, "burst": 30000}})");
  CHECK(scratch.value("/a/cpu.max.burst") == "30000\n");
}

}  // namespace
}  // namespace tare::cgroup_resources
