#include "stages/exec.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../../scratch.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

using nlohmann::json;

json container_process() {
  return json::parse(R"({
    "args": ["init"], "cwd": "/srv", "env": ["PATH=/bin", "A=1"], "terminal": true,
    "user": {"uid": 10, "gid": 20, "additionalGids": [30]},
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"],
                     "inheritable": [], "ambient": []}
  })");
}

ProcessPlan plan(const ExecRequest& request, bool has_seccomp = false) {
  return plan_exec(request, {.process = container_process().dump()}, {.has_seccomp = has_seccomp});
}

capabilities::Set bit(const std::string& name) {
  return capabilities::Set{1} << capabilities::parse_name(name);
}

TEST_CASE("without flags the new process is as the container's, but has no terminal", "[exec]") {
  const ProcessPlan got = plan({.arguments = {"sh"}});
  CHECK(got.environment.arguments == std::vector<std::string>{"sh"});
  CHECK(got.environment.directory == "/srv");
  CHECK(got.credentials.uid == 10);
  CHECK(got.credentials.gid == 20);
  CHECK(got.credentials.additional_gids == std::vector<gid_t>{30});
  CHECK(got.capabilities.bounding == bit("CAP_KILL"));
  CHECK_FALSE(got.terminal.enabled);
  CHECK_FALSE(got.has_seccomp);
  CHECK(plan({.arguments = {"sh"}}, true).has_seccomp);
}

TEST_CASE("every flag has its effect on the process", "[exec]") {
  const ProcessPlan got = plan({.arguments = {"ls", "-l"},
                                .directory = "/tmp",
                                .variables = {"A=2", "B=3"},
                                .user = "1:2",
                                .additional_gids = {40},
                                .terminal = true,
                                .no_new_privileges = true});
  CHECK(got.environment.arguments == std::vector<std::string>{"ls", "-l"});
  CHECK(got.environment.directory == "/tmp");
  CHECK(got.environment.variables == std::vector<std::string>{"PATH=/bin", "A=2", "B=3"});
  CHECK(got.credentials.uid == 1);
  CHECK(got.credentials.gid == 2);
  CHECK(got.credentials.additional_gids == std::vector<gid_t>{30, 40});
  CHECK(got.terminal.enabled);
  CHECK(got.no_new_privileges.enabled);
}

TEST_CASE("a user without a group keeps the container's group", "[exec]") {
  const ProcessPlan got = plan({.arguments = {"sh"}, .user = "1"});
  CHECK(got.credentials.uid == 1);
  CHECK(got.credentials.gid == 20);
}

TEST_CASE("a capability of a flag is never inheritable", "[exec]") {
  const ProcessPlan got =
      plan({.arguments = {"sh"}, .capabilities = {"CAP_NET_RAW", "sys_chroot"}});
  const capabilities::Set all = bit("CAP_KILL") | bit("CAP_NET_RAW") | bit("CAP_SYS_CHROOT");
  CHECK(got.capabilities.bounding == all);
  CHECK(got.capabilities.effective == all);
  CHECK(got.capabilities.permitted == all);
  CHECK(got.capabilities.inheritable == 0);
  CHECK(got.capabilities.ambient == 0);
}

TEST_CASE("what a flag says wrongly is refused before any process exists", "[exec]") {
  CHECK_THROWS_AS(plan({.arguments = {"sh"}, .user = "root"}), Error);
  CHECK_THROWS_AS(plan({.arguments = {"sh"}, .capabilities = {"CAP_NONE"}}), Error);
  CHECK_THROWS_AS(plan({.arguments = {"sh"}, .apparmor = "a\nb"}), Error);
  CHECK_THROWS_AS(plan({.arguments = {"sh"}, .process_label = "a\nb"}), Error);
}

TEST_CASE("a process of a file stands for itself, its terminal included", "[exec]") {
  const test::Scratch scratch;
  const std::string path =
      scratch.write("p.json", R"({"args": ["a"], "cwd": "/", "terminal": true, "env": ["X=1"]})");
  const ProcessPlan got = plan({.process_file = path});
  CHECK(got.environment.arguments == std::vector<std::string>{"a"});
  CHECK(got.terminal.enabled);
  CHECK(got.credentials.uid == 0);
  CHECK(got.capabilities.bounding == 0);
}

TEST_CASE("a file that is no process is told by its own name", "[exec]") {
  const test::Scratch scratch;
  const std::string path = scratch.write("p.json", R"({"args": "a", "cwd": "/"})");
  CHECK_THROWS_WITH(plan({.process_file = path}), Catch::StartsWith(path + " /args: "));
  CHECK_THROWS_WITH(plan({.process_file = "/no/such"}), "open /no/such: no such file or directory");
  scratch.write("p.json", "{");
  CHECK_THROWS_WITH(plan({.process_file = path}), Catch::StartsWith(path + ": line 1, column 2: "));
}

TEST_CASE("what a process file leaves out of its attributes is as for the container", "[exec]") {
  const test::Scratch scratch;
  const auto with = [&scratch](const std::string& attributes) {
    const std::string path =
        scratch.write("p.json", R"({"args": ["a"], "cwd": "/")" + attributes + "}");
    json process = container_process();
    process["scheduler"] = {{"policy", "SCHED_BATCH"}, {"nice", 3}};
    process["execCPUAffinity"] = {{"final", "0-1"}};
    return plan_exec(
        {.process_file = path},
        {.process = process.dump(), .linux_part = R"({"personality": {"domain": "LINUX32"}})"}, {});
  };
  CHECK(with("").scheduler.scheduling->nice == 3);
  CHECK(with("").cpu_affinity.final == sys::NumberMask{3});
  CHECK(with("").personality.domain.has_value());
  CHECK_FALSE(with("").io_priority.priority.has_value());
  CHECK(with(R"(, "scheduler": {"policy": "SCHED_IDLE"})").scheduler.scheduling->nice == 0);
  CHECK(with(R"(, "execCPUAffinity": {"initial": "2"})").cpu_affinity.final.empty());
  CHECK_THROWS_WITH(with(R"(, "scheduler": {"policy": "SCHED_FIFO"})"),
                    Catch::Contains("p.json /scheduler: SCHED_FIFO needs a priority"));
}

TEST_CASE("a process in a container that does not exist is refused", "[exec]") {
  const test::Scratch scratch;
  const ExecRequest request{
      .global = {.root = scratch.path("root")}, .id = "web", .arguments = {"sh"}};
  CHECK_THROWS_WITH(add_process(request), "container does not exist");
}

}  // namespace
}  // namespace tare::stages
