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

Error read_error(const std::string& resources) {
  try {
    read_text(resources);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing was wrong");
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

TEST_CASE("memory limits, with 0 for unset and -1 for none", "[cgroup_resources]") {
  CHECK(writes(R"({"memory": {"limit": 1048576}})") == "memory.max=1048576");
  CHECK(writes(R"({"memory": {"limit": 0}})").empty());
  CHECK(writes(R"({"memory": {"reservation": 7}})") == "memory.low=7");
  CHECK(writes(R"({"memory": {"reservation": -1}})") == "memory.low=max");
  CHECK(writes(R"({"memory": {"limit": 9223372036854775807}})") ==
        "memory.max=9223372036854775807");
}

TEST_CASE("swap is what memory+swap leaves above the memory limit", "[cgroup_resources]") {
  struct Case {
    const char* memory;
    const char* swap;
    const char* expected;
  };
  const Case cases[] = {
      {"100", "300", "memory.swap.max=200; memory.max=100"},
      {"100", "100", "memory.swap.max=0; memory.max=100"},
      {"100", "0", "memory.max=100"},
      {"100", "-1", "memory.swap.max=max; memory.max=100"},
      {"-1", "0", "memory.swap.max=max; memory.max=max"},
      {"-1", "-1", "memory.swap.max=max; memory.max=max"},
      {"-1", "300", "memory.swap.max=300; memory.max=max"},
      {"0", "-1", "memory.swap.max=max"},
      {"0", "0", ""},
  };
  for (const Case& row : cases) {
    CAPTURE(row.memory, row.swap);
    CHECK(writes(std::string(R"({"memory": {"limit": )") + row.memory + R"(, "swap": )" + row.swap +
                 "}}") == row.expected);
  }
}

TEST_CASE("a swap limit that makes no sense is refused in runc's words", "[cgroup_resources]") {
  CHECK(read_error(R"({"memory": {"swap": 100}})").message() ==
        "config.json /linux/resources/memory: unable to set swap limit without memory limit");
  CHECK(read_error(R"({"memory": {"limit": 100, "swap": 99}})").message() ==
        "config.json /linux/resources/memory: memory+swap limit should be >= memory limit");
  CHECK(read_error(R"({"memory": {"limit": -2}})").field() == "/linux/resources/memory/limit");
  CHECK(read_error(R"({"memory": {"limit": "1g"}})").kind() == ErrorKind::spec);
}

TEST_CASE("only an unlimited or absent swap may have no file", "[cgroup_resources]") {
  const auto first = [](const char* text) { return read_text(text).writes.at(0); };
  CHECK(first(R"({"memory": {"limit": 1, "swap": 1}})").may_be_missing);
  CHECK(first(R"({"memory": {"limit": 1, "swap": -1}})").may_be_missing);
  CHECK_FALSE(first(R"({"memory": {"limit": 1, "swap": 2}})").may_be_missing);
  CHECK_FALSE(first(R"({"memory": {"limit": -1, "swap": 2}})").may_be_missing);
}

TEST_CASE("limits of cgroup v1 alone are left alone", "[cgroup_resources]") {
  CHECK(writes(R"({"memory": {"kernel": 1, "kernelTCP": 2, "swappiness": 60, "useHierarchy": true,
                              "disableOOMKiller": true},
                   "cpu": {"realtimeRuntime": 1, "realtimePeriod": 2}})")
            .empty());
}

TEST_CASE("checkBeforeUpdate remembers what is to be compared", "[cgroup_resources]") {
  const Spec spec =
      read_text(R"({"memory": {"limit": 100, "swap": 300, "checkBeforeUpdate": true}})");
  CHECK(spec.checks ==
        std::vector<UsageCheck>{{"memory+swap limit", 300, "/linux/resources/memory/swap"},
                                {"memory limit", 100, "/linux/resources/memory/limit"}});
  CHECK(read_text(R"({"memory": {"limit": 100}})").checks.empty());
}

TEST_CASE("shares become the weight that runc gives", "[cgroup_resources]") {
  const std::pair<std::uint64_t, std::uint64_t> table[] = {
      {0, 0}, {1, 1},    {2, 1},      {1024, 100}, {262144, 10000}, {262145, 10000},
      {3, 2}, {512, 59}, {2048, 174}, {4096, 303}, {8192, 532}};
  for (const auto& [shares, weight] : table) {
    CAPTURE(shares);
    CHECK(weight_of_shares(shares) == weight);
  }
}

TEST_CASE("more shares are never less weight, and every weight is the kernel's to take",
          "[cgroup_resources]") {
  std::uint64_t last = 1;
  for (std::uint64_t shares = 1; shares <= 262200; ++shares) {
    const std::uint64_t weight = weight_of_shares(shares);
    if (weight < last || weight > 10000) FAIL("shares " << shares << " give " << weight);
    last = weight;
  }
  CHECK(last == 10000);
}

TEST_CASE("cpu limits in the order in which the kernel takes them", "[cgroup_resources]") {
  CHECK(writes(R"({"cpu": {"shares": 1024, "quota": 50000, "period": 200000, "burst": 1000,
                           "idle": 0, "cpus": "0-1", "mems": "0"}})") ==
        "cpu.idle=0; cpu.weight=100; cpu.max.burst=1000; cpu.max=50000 200000; cpuset.cpus=0-1; "
        "cpuset.mems=0");
  CHECK(writes(R"({"cpu": {"quota": 50000}})") == "cpu.max=50000 100000");
  CHECK(writes(R"({"cpu": {"period": 50000}})") == "cpu.max=max 50000");
  CHECK(writes(R"({"cpu": {"quota": -1}})") == "cpu.max=max 100000");
  CHECK(writes(R"({"cpu": {"idle": 1}})") == "cpu.idle=1");
}

TEST_CASE("pids: absent is unset, 0 is 1, and less is no limit", "[cgroup_resources]") {
  CHECK(writes(R"({"pids": {}})").empty());
  CHECK(writes(R"({"pids": {"limit": null}})").empty());
  CHECK(writes(R"({"pids": {"limit": 0}})") == "pids.max=1");
  CHECK(writes(R"({"pids": {"limit": 32}})") == "pids.max=32");
  CHECK(writes(R"({"pids": {"limit": -1}})") == "pids.max=max");
}

TEST_CASE("unified values go to the files they name", "[cgroup_resources]") {
  const Spec spec = read_text(R"({"unified": {"io.max": "8:0 riops=1\n8:1 wiops=2\n",
                                              "cgroup.max.depth": "3"}})");
  CHECK(spec.writes == std::vector<Write>{{.file = "cgroup.max.depth",
                                           .value = "3",
                                           .pointer = "/linux/resources/unified/cgroup.max.depth"},
                                          {.controller = "io",
                                           .file = "io.max",
                                           .value = "8:0 riops=1\n8:1 wiops=2\n",
                                           .pointer = "/linux/resources/unified/io.max"}});
}

TEST_CASE("unified names nothing but limits of this cgroup", "[cgroup_resources]") {
  CHECK(read_error(R"({"unified": {"a/memory.max": "1"}})")
            .message()
            .find("unified resource \"a/memory.max\" must be a file name (no slashes)") !=
        std::string::npos);
  CHECK(read_error(R"({"unified": {"../x": "1"}})").message().find("no slashes") !=
        std::string::npos);
  for (const char* name : {"memory", "..", ".", ".max"}) {
    CHECK(read_error(std::string(R"({"unified": {")") + name + R"(": "1"}})")
              .message()
              .find("must be in the form CONTROLLER.PARAMETER") != std::string::npos);
  }
  for (const char* name : {"cgroup.procs", "cgroup.kill", "cgroup.freeze", "cgroup.type"}) {
    CHECK(read_error(std::string(R"({"unified": {")") + name + R"(": "1"}})")
              .message()
              .find("is no limit") != std::string::npos);
  }
}

TEST_CASE("limits that this version does not set are refused by name", "[cgroup_resources]") {
  const std::pair<const char*, const char*> table[] = {
      {"blockIO", R"({"weight": 500})"},
      {"hugepageLimits", R"([{"pageSize": "2MB", "limit": 1}])"},
      {"rdma", R"({"mlx5_1": {"hcaHandles": 3}})"},
      {"network", R"({"classID": 1048577})"}};
  for (const auto& [name, value] : table) {
    const Error error = read_error(std::string(R"({")") + name + R"(": )" + value + "}");
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.field() == std::string("/linux/resources/") + name);
  }
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
             kCgroup, host_with({})) == Plan{});
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

TEST_CASE("cgroup resources: a pids limit of 0 is none in a config older than version 1.3",
          "[cgroup_resources]") {
  const spec::Document document("config.json", R"({"resources": {"pids": {"limit": 0}}})");
  CHECK(read(document.top(), zero_pids_of("1.0.2-dev")).writes.empty());
  CHECK(read(document.top(), zero_pids_of("1.2.1")).writes.empty());
  REQUIRE(read(document.top(), zero_pids_of("1.3.0")).writes.size() == 1);
  CHECK(read(document.top(), zero_pids_of("1.10.0")).writes[0].value == "1");
}

}  // namespace
}  // namespace tare::cgroup_resources
