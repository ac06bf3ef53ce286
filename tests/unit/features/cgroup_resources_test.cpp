#include "features/cgroup_resources.hpp"

#include <catch2/catch.hpp>

namespace tare::cgroup_resources {
namespace {

const cgroup::Plan kCgroup{.mount_point = "/sys/fs/cgroup", .path = "/a/b"};

Host host_with(std::set<std::string> controllers) {
  Host host;
  host.cgroup.controllers = std::move(controllers);
  return host;
}

Spec read_text(const std::string& resources) {
  const spec::Document document("config.json", R"({"linux": {"resources": )" + resources + "}}");
  return read(document.top().at("linux"), ZeroPids::limit);
}

Error plan_error(const std::string& resources, const cgroup::Plan& cgroup, const Host& host) {
  try {
    plan(read_text(resources), cgroup, host);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing was wrong");
}

// "memory.max=1 memory.low=2": what would be written, in its order.
std::string writes(const std::string& resources) {
  std::string text;
  for (const Write& write : read_text(resources).writes) {
    text += (text.empty() ? "" : "; ") + write.file + "=" + write.value;
  }
  return text;
}

TEST_CASE("no resources, null and empty ones ask for nothing", "[cgroup_resources]") {
  const spec::Document nothing("config.json", "{}");
  CHECK(read(nothing.top(), ZeroPids::limit).writes.empty());
  CHECK(writes("null").empty());
  CHECK(writes("{}").empty());
  CHECK(writes(R"({"memory": {}, "cpu": {}, "pids": {}, "unified": {}})").empty());
}

TEST_CASE("what Docker writes for limits that nobody asked for asks for nothing",
          "[cgroup_resources]") {
  CHECK(writes(R"({"devices": [{"allow": false, "access": "rwm"}],
                   "memory": {"limit": 0, "swap": 0, "reservation": 0, "disableOOMKiller": false},
                   "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": ""},
                   "blockIO": {"weight": 0, "weightDevice": [], "throttleReadBpsDevice": null},
                   "hugepageLimits": [], "network": {}, "rdma": {}})")
            .empty());
}

TEST_CASE("limits of cgroup v1 alone are left alone, and explain says so", "[cgroup_resources]") {
  const Spec spec = read_text(
      R"({"memory": {"kernel": 1, "kernelTCP": 2, "swappiness": 60, "useHierarchy": true,
                     "disableOOMKiller": true},
          "cpu": {"realtimeRuntime": 1, "realtimePeriod": 2},
          "blockIO": {"leafWeight": 300, "weightDevice": [{"major": 8, "minor": 0, "leafWeight": 90,
                                                           "weight": 0}]},
          "network": {"classID": 1048577}})");
  CHECK(spec.writes.empty());
  std::vector<std::string> pointers;
  for (const Ignored& ignored : spec.ignored) pointers.push_back(ignored.pointer);
  CHECK(pointers ==
        std::vector<std::string>{
            "/linux/resources/memory/kernel", "/linux/resources/memory/kernelTCP",
            "/linux/resources/memory/swappiness", "/linux/resources/memory/disableOOMKiller",
            "/linux/resources/memory/useHierarchy", "/linux/resources/blockIO/leafWeight",
            "/linux/resources/blockIO/weightDevice/0/leafWeight",
            "/linux/resources/cpu/realtimeRuntime", "/linux/resources/cpu/realtimePeriod",
            "/linux/resources/network"});
  Explain out;
  explain(plan(spec, kCgroup, host_with({})), out);
  REQUIRE(out.effects().size() == spec.ignored.size());
  CHECK(out.effects()[2].text == "left alone: cgroup v2 has no swappiness of a cgroup");
}

TEST_CASE("the plan enables each controller once, and none for cgroup's own files",
          "[cgroup_resources]") {
  const Plan plan = cgroup_resources::plan(
      read_text(R"({"pids": {"limit": 5}, "memory": {"limit": 1, "reservation": 1},
                    "unified": {"cgroup.max.depth": "3"}})"),
      kCgroup, host_with({"memory", "pids", "io"}));
  CHECK(plan.controllers == std::vector<std::string>{"memory", "pids"});
  CHECK(plan.writes.size() == 4);
  CHECK(plan.checks.empty());
}

TEST_CASE("a whole plan", "[cgroup_resources]") {
  CHECK(plan(read_text(R"({"pids": {"limit": 5}})"), kCgroup, host_with({"pids"})) ==
        Plan{.writes = {{.controller = "pids",
                         .file = "pids.max",
                         .value = "5",
                         .pointer = "/linux/resources/pids/limit"}},
             .controllers = {"pids"}});
}

TEST_CASE("a missing controller is refused by name, field and tree", "[cgroup_resources]") {
  const Error error = plan_error(R"({"memory": {"limit": 1048576}})", kCgroup, host_with({"pids"}));
  CHECK(error.kind() == ErrorKind::unsupported);
  CHECK(error.message() ==
        "memory.max can't be set: controller \"memory\" not available in the cgroup v2 tree at "
        "/sys/fs/cgroup");
  CHECK(error.field() == "/linux/resources/memory/limit");
  CHECK(error.hint().empty());
}

TEST_CASE("on a hybrid host the refusal says why and what to do", "[cgroup_resources]") {
  Host host = host_with({"hugetlb"});
  host.cgroup = {.mount_point = "/sys/fs/cgroup/unified", .hybrid = true};
  const Error error = plan_error(R"({"unified": {"pids.max": "7"}})", kCgroup, host);
  CHECK(error.message() ==
        "unified resource \"pids.max\" can't be set: controller \"pids\" not available in the "
        "cgroup v2 tree at /sys/fs/cgroup/unified");
  CHECK(error.hint().find("cgroup v1") != std::string::npos);
}

TEST_CASE("asking for no limit needs no controller", "[cgroup_resources]") {
  CHECK(plan(read_text(R"({"memory": {"limit": -1}, "pids": {"limit": -1},
                           "cpu": {"idle": 0, "quota": -1, "burst": 0}})"),
             kCgroup, host_with({})) == Plan{.memory = {-1, 0}});
}

TEST_CASE("a limit without a cgroup is refused, and nothing is not", "[cgroup_resources]") {
  const Error error = plan_error(R"({"pids": {"limit": 5}})", {}, host_with({"pids"}));
  CHECK(error.message() == "pids.max can't be set: the container has no cgroup of its own");
  CHECK(plan(read_text(R"({"pids": {"limit": -1}})"), {}, host_with({"pids"})) == Plan{});
}

TEST_CASE("limits on an optional cgroup that could not be made are refused in runc's words",
          "[cgroup_resources]") {
  const Plan plan =
      cgroup_resources::plan(read_text(R"({"pids": {"limit": 5}})"), kCgroup, host_with({"pids"}));
  CHECK_THROWS_WITH(apply_in_parent(plan, kCgroup, sys::FdRef(-1)),
                    "rootless needs no limits + no cgrouppath when no permission is granted for "
                    "cgroups");
  CHECK_NOTHROW(apply_in_parent({}, kCgroup, sys::FdRef(-1)));
}

TEST_CASE("each write is explained with its field", "[cgroup_resources]") {
  Explain out;
  explain(plan(read_text(R"({"pids": {"limit": 5}})"), kCgroup, host_with({"pids"})), out);
  REQUIRE(out.effects().size() == 1);
  CHECK(out.effects()[0].text == "set pids.max to \"5\"");
  CHECK(out.effects()[0].field == "/linux/resources/pids/limit");
}

TEST_CASE("what is not given is as it is already", "[cgroup_resources]") {
  const auto on_top = [](const Base& base, const std::string& resources) {
    const spec::Document document("resources", resources);
    std::string text;
    for (const Write& write : read_resources(document.top(), ZeroPids::limit, base).writes) {
      text += (text.empty() ? "" : "; ") + write.file + "=" + write.value;
    }
    return text;
  };
  const Base limited{.memory = {100, 300}, .cpu_quota = "50000", .cpu_period_us = 200000};
  CHECK(on_top(limited, R"({"cpu": {"quota": 7000}})") == "cpu.max=7000 200000");
  CHECK(on_top(limited, R"({"cpu": {"quota": -1}})") == "cpu.max=max 200000");
  CHECK(on_top(limited, R"({"cpu": {"period": 7000}})") == "cpu.max=50000 7000");
  CHECK(on_top(limited, R"({"memory": {"limit": 200}})") == "memory.swap.max=100; memory.max=200");
  CHECK(on_top(limited, R"({"memory": {"swap": 150}})") == "memory.swap.max=50");
  CHECK(on_top(limited, R"({"memory": {"limit": -1}})") == "memory.swap.max=max; memory.max=max");
  CHECK(on_top(limited, R"({"memory": {"reservation": 5}})") == "memory.low=5");
  CHECK_THROWS_WITH(on_top(limited, R"({"memory": {"limit": 301}})"),
                    "resources /memory: memory+swap limit should be >= memory limit");
  CHECK_THROWS_WITH(on_top({}, R"({"memory": {"swap": 301}})"),
                    "resources /memory: unable to set swap limit without memory limit");
}

}  // namespace
}  // namespace tare::cgroup_resources
