#include "cli/list.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace tare;  // NOLINT(google-build-using-namespace)
using cli::owner_name;

namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "\n"
    "broken\n"
    ":x:7:7::/:\n"
    "daemon:x:1:1::/:\n"
    "ann:x:1000:1000:Ann,1000:/home/ann:/bin/sh\n"
    "again:x:1000:1000::/:\n"
    "last:x:1001:1001::/:";

State state(std::string id, Status status) {
  return {.record = {.id = std::move(id),
                     .oci_version = "1.2.0",
                     .bundle = "/b",
                     .rootfs = "/b/rootfs",
                     .created = "2026-11-24T21:07:00.5Z",
                     .owner = 1000,
                     .init = {.pid = 42, .start_time = 1}},
          .status = status};
}

}  // namespace

TEST_CASE("list: an owner is the first of that number in passwd", "[list]") {
  CHECK(owner_name(0, kPasswd) == "root");
  CHECK(owner_name(1000, kPasswd) == "ann");
  CHECK(owner_name(1001, kPasswd) == "last");
}

TEST_CASE("list: an owner without a name is its number", "[list]") {
  CHECK(owner_name(100, kPasswd) == "#100");
  CHECK(owner_name(7, kPasswd) == "#7");
  CHECK(owner_name(0, "") == "#0");
  CHECK(owner_name(10, "a:x:100:1\nb:x:1:10\nc::::") == "#10");
}

TEST_CASE("list: the table has runc's columns", "[list]") {
  CHECK(cli::listed_as_table({state("web", Status::running)}, kPasswd) ==
        "ID          PID         STATUS      BUNDLE      CREATED                  OWNER\n"
        "web         42          running     /b          2026-11-24T21:07:00.5Z   ann\n");
}

TEST_CASE("list: a stopped container has no pid", "[list]") {
  CHECK(cli::listed_as_table({state("web", Status::stopped)}, "")
            .find("web         0           stopped     /b ") != std::string::npos);
}

TEST_CASE("list: no container is a heading in the table and null in JSON", "[list]") {
  CHECK(cli::listed_as_table({}, "") ==
        "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
  CHECK(cli::listed_as_json({}, "") == "null\n");
}

TEST_CASE("list: JSON is one line that begins as runc's tests want it", "[list]") {
  const std::string text =
      cli::listed_as_json({state("a", Status::running), state("b", Status::paused)}, kPasswd);
  CHECK(text.find(R"([{"ociVersion":"1.2.0","id":"a","pid":42,"status":"running","bundle":"/b",)"
                  R"("rootfs":"/b/rootfs","created":"2026-11-24T21:07:00.5Z","owner":"ann"},{)") ==
        0);
  CHECK(text.find('\n') == text.size() - 1);
  CHECK(nlohmann::json::parse(text).size() == 2);
}

TEST_CASE("list: a bundle's name cannot break the table", "[list]") {
  State odd = state("web", Status::running);
  odd.record.bundle = "/a\nb\x1b[2J";
  const std::string text = cli::listed_as_table({odd}, "");
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(text.find('\x1b') == std::string::npos);
}
