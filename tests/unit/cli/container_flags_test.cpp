#include "cli/container_flags.hpp"

#include <catch2/catch.hpp>

#include "cli/command.hpp"
#include "sys/file.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using cli::passed_descriptors;

namespace {

using Words = std::vector<std::string_view>;

CreateRequest request(const Words& words, const cli::Command& command = cli::kCreate) {
  const cli::Arguments arguments(command.flags, command.order, words);
  return cli::create_request(arguments, {.root = "/r", .systemd_cgroup = true});
}

}  // namespace

TEST_CASE("container flags: the bundle is the current directory unless it is given",
          "[container_flags]") {
  CHECK(request({"x"}).bundle == sys::current_directory());
  CHECK(request({"x", "--bundle", ""}).bundle == sys::current_directory());
  CHECK(request({"x", "--bundle", "/b/"}).bundle == "/b");
}

TEST_CASE("container flags: the shim's call of create becomes this request", "[container_flags]") {
  const CreateRequest made =
      request({"--bundle", "/b", "--pid-file", "/b/init.pid", "--console-socket", "/s",
               "--no-pivot", "--no-new-keyring", "--preserve-fds", "0", "web"});
  CHECK(made.global.root == "/r");
  CHECK(made.global.systemd_cgroup);
  CHECK(made.id == "web");
  CHECK(made.bundle == "/b");
  CHECK(made.pid_file == "/b/init.pid");
  CHECK(made.console_socket == "/s");
  CHECK(made.pidfd_socket.empty());
  CHECK(made.no_pivot);
  CHECK(made.no_new_keyring);
  CHECK(made.preserve_fds == 0);
}

TEST_CASE("container flags: every path means the caller's directory", "[container_flags]") {
  const std::string here = sys::current_directory();
  const CreateRequest made = request(
      {"x", "-b", "b", "--pid-file=p", "--console-socket", "c", "--pidfd-socket", "d"}, cli::kRun);
  CHECK(made.bundle == here + "/b");
  CHECK(made.pid_file == here + "/p");
  CHECK(made.console_socket == here + "/c");
  CHECK(made.pidfd_socket == here + "/d");
}

TEST_CASE("container flags: descriptors of a service manager count if they are for this process",
          "[container_flags]") {
  CHECK(passed_descriptors("2", "100", 100) == 2);
  CHECK(passed_descriptors("2", "101", 100) == 0);
  CHECK(passed_descriptors("2", std::nullopt, 100) == 0);
  CHECK(passed_descriptors(std::nullopt, "100", 100) == 0);
  CHECK(passed_descriptors("-1", "100", 100) == 0);
  CHECK(passed_descriptors("x", "100", 100) == 0);
  CHECK(passed_descriptors("4000000000", "100", 100) == 0);
}

TEST_CASE("container flags: more descriptors than a process can have are refused",
          "[container_flags]") {
  CHECK(request({"x", "--preserve-fds", "1048576"}).preserve_fds == 1048576);
  CHECK_THROWS_AS(request({"x", "--preserve-fds", "1048577"}), Error);
  CHECK_THROWS_AS(request({"x", "--preserve-fds", "2147483647"}), Error);
}

TEST_CASE("container flags: timings go to a file, or to a descriptor that is nobody else's",
          "[container_flags]") {
  CHECK(request({"x"}).timings.empty());
  CHECK(request({"x", "--timings", "t.json"}).timings == sys::current_directory() + "/t.json");
  CHECK(request({"x", "--timings", "7"}).timings == "7");
  const auto descriptor = [](const Words& words) {
    return cli::timings_descriptor({cli::kCreate.flags, cli::kCreate.order, words});
  };
  CHECK(descriptor({"x"}) == 0);
  CHECK(descriptor({"x", "--timings", "/t"}) == 0);
  CHECK(descriptor({"x", "--timings", "2"}) == 0);
  CHECK(descriptor({"x", "--timings", "3"}) == 3);
  CHECK(descriptor({"x", "--timings", "5", "--preserve-fds", "2"}) == 5);
  CHECK_THROWS_AS(descriptor({"x", "--timings", "4", "--preserve-fds", "2"}), Error);
  CHECK_THROWS_AS(descriptor({"x", "--timings", "0"}), Error);
}
