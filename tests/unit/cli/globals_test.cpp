#include "cli/globals.hpp"

#include <catch2/catch.hpp>

using namespace tare;  // NOLINT(google-build-using-namespace)
using cli::Arguments;
using cli::Caller;
using cli::default_root;

namespace {

using Words = std::vector<std::string_view>;

struct Read {
  explicit Read(Words given)
      : words(std::move(given)),
        arguments(cli::global_flags(), cli::Order::before_first_word, words) {}
  Words words;
  Arguments arguments;
};

GlobalOptions options(Words words) {
  return cli::read_global_options(Read(std::move(words)).arguments);
}
cli::LogOptions log_options(Words words) {
  return cli::read_log_options(Read(std::move(words)).arguments);
}

template <typename Body>
std::string refusal(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.message();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("globals: what stands before a command in the calls of engines is understood",
          "[globals]") {
  // containerd's shim, podman by way of conmon, CRI-O
  const Words words = GENERATE(Words{"--root", "/r", "--debug", "--log", "/l", "--log-format",
                                     "json", "--systemd-cgroup", "create", "--bundle", "/b", "x"},
                               Words{"--root=/r", "--debug", "--systemd-cgroup",
                                     "--log-format=json", "--log", "/l", "create", "x"});
  const Read read(words);
  CHECK(read.arguments.words()[0] == "create");
  const GlobalOptions global = cli::read_global_options(read.arguments);
  CHECK(global.root == "/r");
  CHECK(global.root_given);
  CHECK(global.systemd_cgroup);
  CHECK_FALSE(global.cgroup_disabled);
  CHECK_FALSE(global.rootless.has_value());
  CHECK(cli::read_log_options(read.arguments) == cli::LogOptions{.path = "/l",
                                                                 .format = sys::LogFormat::json,
                                                                 .level = sys::LogLevel::debug});
}

TEST_CASE("globals: the log is text on standard error with errors only by default", "[globals]") {
  CHECK(log_options({}) == cli::LogOptions{});
  CHECK(log_options({"--log", "", "--log-format", "", "--log-level", ""}) == cli::LogOptions{});
}

TEST_CASE("globals: log levels and formats are words, and other words are named", "[globals]") {
  CHECK(log_options({"--log-level", "error"}).level == sys::LogLevel::error);
  CHECK(log_options({"--log-level", "warning"}).level == sys::LogLevel::warning);
  CHECK(log_options({"--log-level=debug"}).level == sys::LogLevel::debug);
  CHECK(log_options({"--debug", "--log-level", "error"}).level == sys::LogLevel::debug);
  CHECK(log_options({"--debug=false"}).level == sys::LogLevel::warning);
  CHECK(refusal([] { log_options({"--log-format", "xml"}); }) == "invalid log-format: xml");
  CHECK(refusal([] { log_options({"--log-level", "loud"}); }) == "invalid log-level: loud");
}

TEST_CASE("globals: a root that is the root of everything is refused in runc's words",
          "[globals]") {
  for (const std::string_view root :
       {"/", "", "//", "/..", "/a/..", "../../../../../../../../.."}) {
    CHECK(refusal([&] {
            options({"--root", root});
          }) == "Option --root argument should not be set to /");
  }
}

TEST_CASE("globals: a root is made absolute and clean", "[globals]") {
  CHECK(options({"--root", "/a//b/../c/"}).root == "/a/c");
  const std::string relative = options({"--root", "state"}).root;
  CHECK(relative.front() == '/');
  CHECK(relative.substr(relative.rfind('/')) == "/state");
}

TEST_CASE("globals: the state of root lies in /run, that of others in their runtime directory",
          "[globals]") {
  CHECK(default_root({.is_root = true}) == "/run/tare");
  CHECK(default_root({.is_root = true, .runtime_directory = "/run/user/0"}) == "/run/tare");
  CHECK(default_root({.is_root = false, .runtime_directory = "/run/user/1000"}) ==
        "/run/user/1000/tare");
  CHECK(default_root({.is_root = false}) == "/run/tare");
}

TEST_CASE("globals: root of a user namespace keeps its maker's runtime directory unless it is USER",
          "[globals]") {
  const Caller caller{.is_root = false, .runtime_directory = "/run/user/1000"};
  Caller became_root = caller;
  became_root.user_name = "root";
  Caller still_user = caller;
  still_user.user_name = "ann";
  CHECK(default_root(caller) == "/run/user/1000/tare");
  CHECK(default_root(still_user) == "/run/user/1000/tare");
  CHECK(default_root(became_root) == "/run/tare");
}

TEST_CASE("globals: an empty or relative runtime directory is ignored", "[globals]") {
  CHECK(default_root({.is_root = false, .runtime_directory = ""}) == "/run/tare");
  CHECK(default_root({.is_root = false, .runtime_directory = "run"}) == "/run/tare");
}

TEST_CASE("globals: rootless has three values in runc's spellings", "[globals]") {
  CHECK_FALSE(options({"--root=/r"}).rootless.has_value());
  CHECK_FALSE(options({"--root=/r", "--rootless", "auto"}).rootless.has_value());
  CHECK(options({"--root=/r", "--rootless=true"}).rootless == true);
  CHECK(options({"--root=/r", "--rootless", "false"}).rootless == false);
  CHECK(refusal([] {
          options({"--root=/r", "--rootless=maybe"});
        }) == "invalid --rootless: maybe: expected true, false or auto");
}

TEST_CASE("globals: cgroup managers are crun's, and others are named", "[globals]") {
  CHECK_FALSE(options({"--root=/r", "--cgroup-manager", "cgroupfs"}).systemd_cgroup);
  CHECK(options({"--root=/r", "--cgroup-manager=systemd"}).systemd_cgroup);
  CHECK(options({"--root=/r", "--cgroup-manager", "disabled"}).cgroup_disabled);
  CHECK(refusal([] {
          options({"--root=/r", "--cgroup-manager", "none"});
        }) == "unknown cgroup manager: none");
}
