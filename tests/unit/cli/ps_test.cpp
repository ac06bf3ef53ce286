#include "cli/ps.hpp"

#include <catch2/catch.hpp>

#include "tare/error.hpp"

using tare::Error;
using tare::cli::lines_of;
using tare::cli::pids_as_json;

namespace {

constexpr std::string_view kOutput =
    "UID          PID    PPID CMD\n"
    "root           1       0 init 22\n"
    "root          22       1 sh -c 1\n"
    "\n"
    "root         221      22 sleep 22\n"
    "short\n";

}  // namespace

TEST_CASE("ps: the lines of the container's processes are kept with the heading", "[ps]") {
  CHECK(lines_of({22}, kOutput) ==
        "UID          PID    PPID CMD\n"
        "root          22       1 sh -c 1\n");
  CHECK(lines_of({221, 1}, kOutput) ==
        "UID          PID    PPID CMD\n"
        "root           1       0 init 22\n"
        "root         221      22 sleep 22\n");
}

TEST_CASE("ps: a number in another column is no process ID", "[ps]") {
  CHECK(lines_of({0, 2}, kOutput) == "UID          PID    PPID CMD\n");
}

TEST_CASE("ps: the last line needs no newline", "[ps]") {
  CHECK(lines_of({7}, "PID\n7") == "PID\n7\n");
  CHECK(lines_of({7}, "PID") == "PID\n");
}

TEST_CASE("ps: without a PID column there is nothing to go by", "[ps]") {
  for (const std::string_view output : {"COMMAND\nsh\n", "PPID CMD\n", "", "\nPID\n"}) {
    CHECK_THROWS_WITH(lines_of({1}, output), "couldn't find PID field in ps output");
  }
}

TEST_CASE("ps: as JSON the pids are an array, empty or not", "[ps]") {
  CHECK(pids_as_json({1, 22, 333}) == "[1,22,333]\n");
  CHECK(pids_as_json({5}) == "[5]\n");
  CHECK(pids_as_json({}) == "[]\n");
}
