#include "sys/command.hpp"

#include <stdlib.h>

#include <catch2/catch.hpp>

namespace tare::sys {
namespace {

CommandResult shell(const std::string& script) {
  const std::optional<CommandResult> result = run_command("/bin/sh", {"-c", script});
  REQUIRE(result);
  return *result;
}

TEST_CASE("a program's exit code and stderr come back", "[command]") {
  const CommandResult result = shell("echo first >&2; echo second >&2; exit 3");
  CHECK(result.status.code == 3);
  CHECK(result.status.signal == 0);
  CHECK(result.errors == "first\nsecond");
}

TEST_CASE("the absolute directories of PATH are where programs are looked for", "[command]") {
  const char* const before = std::getenv("PATH");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("PATH", "/a:.::b:/c d:/", 1);
  CHECK(search_path() == std::vector<std::string>{"/a", "/c d", "/"});
  ::unsetenv("PATH");
  CHECK(search_path().empty());
  ::setenv("PATH", kept.c_str(), 1);
}

TEST_CASE("a program that is killed says by what", "[command]") {
  CHECK(shell("kill -KILL $$").status.signal == 9);
}

TEST_CASE("a program gets no environment, no input and no output of ours", "[command]") {
  CHECK(shell("test -z \"$HOME$USER\" && test -z \"$(cat)\" && echo unseen").status.code == 0);
  CHECK(shell("out=$(readlink /proc/$$/fd/0 /proc/$$/fd/1); echo \"$out\" >&2").errors ==
        "/dev/null\n/dev/null");
}

TEST_CASE("a program that says much neither blocks nor fills our memory", "[command]") {
  const CommandResult result = shell(
      "i=0; while [ $i -lt 20000 ]; do echo 0123456789 >&2; "
      "i=$((i+1)); done; exit 5");
  CHECK(result.status.code == 5);
  CHECK(result.errors.size() == 4096);
}

TEST_CASE("a program that is not there is nullopt, one that cannot run an error", "[command]") {
  CHECK_FALSE(run_command("/no/such/program", {}));
  CHECK_THROWS_WITH(run_command("/etc/passwd", {}), "posix_spawn(/etc/passwd): permission denied");
}

}  // namespace
}  // namespace tare::sys
