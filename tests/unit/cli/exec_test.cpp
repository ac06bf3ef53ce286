#include "cli/exec.hpp"

#include <catch2/catch.hpp>

#include "cli/command.hpp"
#include "sys/file.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)

namespace {

using Words = std::vector<std::string_view>;
using Texts = std::vector<std::string>;

ExecRequest request(const Words& words) {
  const cli::Arguments arguments(cli::kExec.flags, cli::kExec.order, words);
  return cli::exec_request(arguments, {.root = "/r"});
}

std::string refusal(const Words& words) {
  try {
    request(words);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.message();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("exec: what follows the id is the command, flags and all", "[exec]") {
  const ExecRequest made = request({"-t", "web", "sh", "-c", "ls", "--", "-t"});
  CHECK(made.global.root == "/r");
  CHECK(made.id == "web");
  CHECK(made.terminal);
  CHECK(made.arguments == Texts{"sh", "-c", "ls", "--", "-t"});
  CHECK(made.process_file.empty());
  CHECK_FALSE(made.detach);
}

TEST_CASE("exec: every flag reaches its place", "[exec]") {
  const ExecRequest made = request({"--cwd",
                                    "/w",
                                    "-e",
                                    "A=1",
                                    "--env",
                                    "B=2",
                                    "-u",
                                    "5:6",
                                    "-g",
                                    "7",
                                    "--additional-gids",
                                    "8",
                                    "-c",
                                    "CAP_KILL",
                                    "--cap",
                                    "CAP_CHOWN",
                                    "--no-new-privs",
                                    "-d",
                                    "--ignore-paused",
                                    "--apparmor",
                                    "prof",
                                    "--process-label",
                                    "lab",
                                    "--cgroup",
                                    "sub",
                                    "--console-socket",
                                    "/c",
                                    "--pidfd-socket",
                                    "/d",
                                    "--pid-file",
                                    "/p",
                                    "web",
                                    "true"});
  CHECK(made.directory == "/w");
  CHECK(made.variables == Texts{"A=1", "B=2"});
  CHECK(made.user == "5:6");
  CHECK(made.additional_gids == std::vector<gid_t>{7, 8});
  CHECK(made.capabilities == Texts{"CAP_KILL", "CAP_CHOWN"});
  CHECK(made.no_new_privileges);
  CHECK(made.detach);
  CHECK(made.ignore_paused);
  CHECK(made.apparmor == "prof");
  CHECK(made.process_label == "lab");
  CHECK(made.cgroup == "sub");
  CHECK(made.console_socket == "/c");
  CHECK(made.pidfd_socket == "/d");
  CHECK(made.pid_file == "/p");
}

TEST_CASE("exec: the shim's call with a process file needs no command", "[exec]") {
  const ExecRequest made =
      request({"--process", "/tmp/runc-process1", "--detach", "--pid-file", "/b/e.pid", "web"});
  CHECK(made.process_file == "/tmp/runc-process1");
  CHECK(made.arguments.empty());
  CHECK(request({"-p", "file", "web"}).process_file == sys::current_directory() + "/file");
}

TEST_CASE("exec: without a command and a process file there is nothing to execute", "[exec]") {
  CHECK(refusal({"web"}) == "exec args cannot be empty");
  CHECK(refusal({"--process", "", "web"}) == "exec args cannot be empty");
}

TEST_CASE("exec: flags that are not given, or are empty, change nothing of the process", "[exec]") {
  const ExecRequest made = request({"--cwd", "", "--user", "", "web", "true"});
  CHECK_FALSE(made.directory.has_value());
  CHECK_FALSE(made.user.has_value());
  CHECK(made.variables.empty());
  CHECK(made.cgroup.empty());
}

TEST_CASE("exec: a group is a number that can be one", "[exec]") {
  for (const std::string_view bad : {"-1", "wheel", "", "4294967295", "4294967296"}) {
    CHECK(refusal({"-g", bad, "web", "true"}).find("invalid value") == 0);
  }
  CHECK(request({"-g", "4294967294", "web", "true"}).additional_gids.front() == 4294967294U);
}

TEST_CASE("exec: a cgroup is one path in the one tree of cgroup v2", "[exec]") {
  CHECK(request({"--cgroup", "/a/b", "web", "true"}).cgroup == "/a/b");
  CHECK(request({"--cgroup", ":a", "web", "true"}).cgroup == "a");
  CHECK(refusal({"--cgroup", "cpu,memory:a", "web", "true"}).find("invalid --cgroup argument") ==
        0);
  CHECK(refusal({"--cgroup", "a", "--cgroup", "b", "web", "true"}).find("--cgroup") == 0);
}
