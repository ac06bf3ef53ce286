#include "sys/capture.hpp"

#include <signal.h>
#include <stdlib.h>

#include <catch2/catch.hpp>

#include "tare/error.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using sys::capture;

TEST_CASE("capture: what a program prints on both streams is given with its status", "[capture]") {
  const auto captured = capture("/bin/sh", {"sh", "-c", "echo out; echo err >&2; exit 3"});
  REQUIRE(captured.has_value());
  CHECK(captured->output == "out\nerr\n");
  CHECK(captured->status.code == 3);
}

TEST_CASE("capture: more than a pipe holds comes through", "[capture]") {
  const auto captured = capture("/bin/sh", {"sh", "-c", "head -c 1000000 /dev/zero"});
  REQUIRE(captured.has_value());
  CHECK(captured->output.size() == 1'000'000);
}

TEST_CASE("capture: a program finds nothing on standard input, and our environment", "[capture]") {
  ::setenv("TARE_TEST_CAPTURE", "here", 1);
  const auto captured = capture("/bin/sh", {"sh", "-c", "cat; echo $TARE_TEST_CAPTURE"});
  ::unsetenv("TARE_TEST_CAPTURE");
  REQUIRE(captured.has_value());
  CHECK(captured->output == "here\n");
}

TEST_CASE("capture: a program that is not there is an absence, one that is none an error",
          "[capture]") {
  CHECK_FALSE(capture("/nonexistent/ps", {"ps"}).has_value());
  CHECK_THROWS_AS(capture("/etc", {"etc"}), Error);
}

TEST_CASE("capture: a program that a signal ends says so", "[capture]") {
  const auto captured = capture("/bin/sh", {"sh", "-c", "kill -9 $$"});
  REQUIRE(captured.has_value());
  CHECK(captured->status.shell_code() == 128 + SIGKILL);
}

TEST_CASE("capture: a caller that ignores its children's ends does not lose this one's",
          "[capture]") {
  const auto before = ::signal(SIGCHLD, SIG_IGN);
  const auto captured = capture("/bin/sh", {"sh", "-c", "exit 5"});
  ::signal(SIGCHLD, before);
  REQUIRE(captured.has_value());
  CHECK(captured->status.code == 5);
}
