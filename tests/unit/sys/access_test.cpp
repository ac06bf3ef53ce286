#include "sys/access.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

TEST_CASE("what is not there is said in Go's words", "[access]") {
  CHECK_THROWS_WITH(status_of("/no/such"), "stat /no/such: no such file or directory");
  CHECK(S_ISDIR(status_of("/proc/self/root").st_mode));
}

TEST_CASE("whether a file may be executed is its errno", "[access]") {
  CHECK(check_executable("/bin/sh") == 0);
  CHECK(check_executable("/proc/version") == EACCES);
  CHECK(check_executable("/no/such") == ENOENT);
  CHECK(check_executable("/bin/sh/below") == ENOTDIR);
}

TEST_CASE("a mount with programs on it does not forbid to execute them", "[access]") {
  const Fd shell = open_at(FdRef::cwd(), "/bin/sh", O_PATH);
  CHECK_FALSE(forbids_execution(shell));
}

TEST_CASE("the working directory is changed by path or an error says why not", "[access]") {
  const Fd before = open_at(FdRef::cwd(), ".", O_PATH | O_DIRECTORY);
  change_directory_to("/usr");
  CHECK(current_directory() == "/usr");
  CHECK_THROWS_WITH(change_directory_to("/bin/sh"), "chdir /bin/sh: not a directory");
  change_directory(before);
}

TEST_CASE("the machine has a name", "[access]") {
  CHECK_FALSE(machine().empty());
}

}  // namespace
}  // namespace tare::sys
