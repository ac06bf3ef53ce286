#include "features/credentials.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sandbox.hpp"
#include "scratch.hpp"
#include "sys/credentials.hpp"
#include "sys/file.hpp"

namespace tare::credentials {
namespace {

// One line of /proc/self/status with single spaces: "1000 1000 1000 1000".
std::string own(const std::string& name) {
  const std::string status = sys::read_file(sys::FdRef::cwd(), "/proc/self/status");
  const std::size_t start = status.find("\n" + name + ":\t") + name.size() + 3;
  std::string line = status.substr(start, status.find('\n', start) - start);
  for (char& letter : line) {
    if (letter == '\t') letter = ' ';
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

std::string everything() {
  return fmt::format("uid {}; gid {}; groups {}; umask {}", own("Uid"), own("Gid"), own("Groups"),
                     own("Umask"));
}

// A child that starts with groups, ids and a umask of its own, and what it has after apply().
std::string after(const Plan& plan, std::uint64_t namespaces = 0) {
  return test::in_child(namespaces, [&] {
    sys::set_groups({10, 20, 30});
    sys::set_umask(0777);
    apply(plan);
    return everything();
  });
}

TEST_CASE("credentials: every id, the groups and the umask are exactly what was asked",
          "[credentials]") {
  if (test::skip_unless_root()) return;
  CHECK(after({.uid = 1000, .gid = 100, .additional_gids = {7, 5, 4294967294}, .umask = 027}) ==
        "uid 1000 1000 1000 1000; gid 100 100 100 100; groups 5 7 4294967294; umask 0027");
  CHECK(after({}) == "uid 0 0 0 0; gid 0 0 0 0; groups ; umask 0022");
}

// CVE-2022-2989 and its kin: groups that were left over let a process pass where its group is
// denied.
TEST_CASE("credentials: with no additional groups the caller's are gone", "[credentials]") {
  if (test::skip_unless_root()) return;
  CHECK(after({.uid = 5, .gid = 6}) == "uid 5 5 5 5; gid 6 6 6 6; groups ; umask 0022");
  CHECK(after({.uid = 5, .gid = 6}, CLONE_NEWUSER) ==
        "uid 5 5 5 5; gid 6 6 6 6; groups ; umask 0022");
}

TEST_CASE("credentials: where setgroups is forbidden it is not called", "[credentials]") {
  if (test::skip_unless_root()) return;
  CHECK(after({.uid = 5, .gid = 6, .set_groups = false}) ==
        "uid 5 5 5 5; gid 6 6 6 6; groups 10 20 30; umask 0022");
}

TEST_CASE("credentials: there is no way back to root", "[credentials]") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(0, [] {
          apply({.uid = 1000, .gid = 1000});
          const bool back = ::setresuid(0, 0, 0) == 0 || ::setresgid(0, 0, 0) == 0 ||
                            ::setgroups(0, nullptr) == 0;
          return std::string(back ? "back" : "stuck");
        }) == "stuck");
}

TEST_CASE("credentials: capabilities outlast the change where KEEPCAPS is on, and only there",
          "[credentials]") {
  if (test::skip_unless_root()) return;
  const auto permitted = [](bool keep) {
    return test::in_child(0, [keep] {
      sys::set_keep_capabilities(keep);
      apply({.uid = 1000, .gid = 1000});
      return std::string(sys::own_capabilities().permitted != 0 ? "some" : "none");
    });
  };
  CHECK(permitted(true) == "some");
  CHECK(permitted(false) == "none");
}

TEST_CASE("credentials: a refusal names the call, its arguments and the field", "[credentials]") {
  if (test::skip_unless_root()) return;
  const auto refusal = [](const Plan& plan) {
    return test::in_child(0, [&] {
      sys::set_capabilities({});
      try {
        apply(plan);
      } catch (const Error& error) {
        return error.field() + ": " + error.message();
      }
      return std::string("applied");
    });
  };
  CHECK(refusal({.additional_gids = {7, 8}}) ==
        "/process/user/additionalGids: setgroups(7, 8): operation not permitted");
  CHECK(refusal({.gid = 9, .set_groups = false}) ==
        "/process/user/gid: setresgid(9, 9, 9): operation not permitted");
  CHECK(refusal({.uid = 9, .set_groups = false}) ==
        "/process/user/uid: setresuid(9, 9, 9): operation not permitted");
}

TEST_CASE("credentials: an id that the user namespace lacks is refused by the kernel too",
          "[credentials]") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(CLONE_NEWUSER, [] {
          apply({.uid = 65536});
          return std::string("applied");
        }) == "error: setresuid(65536, 65536, 65536): invalid argument");
}

}  // namespace
}  // namespace tare::credentials
