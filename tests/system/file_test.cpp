#include "sys/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "../scratch.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

TEST_CASE("a current directory outside the root is an error that says so", "[file]") {
  if (test::skip_unless_root()) return;
  const test::Scratch scratch;
  const Child child = spawn({}, [&] {
    const Fd outside = open_at(FdRef::cwd(), "/usr", O_PATH);
    change_directory(outside);
    if (::chroot(scratch.path().c_str()) != 0) return 1;
    try {
      current_directory();
    } catch (const Error& error) {
      return error.message() == "getcwd: (unreachable)/usr: no such file or directory" &&
                     error.errno_value() == ENOENT
                 ? 0
                 : 2;
    }
    return 3;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("the owner of a link is changed and not that of its target", "[file]") {
  if (test::skip_unless_root()) return;
  const test::Scratch scratch;
  scratch.write("target", "");
  REQUIRE(make_symlink("target", scratch.fd(), "link"));
  const Fd link = open_at(scratch.fd(), "link", O_PATH | O_NOFOLLOW);
  change_owner(link, 1000, 1001);
  CHECK(find_status(scratch.fd(), "link")->st_uid == 1000);
  CHECK(find_status(scratch.fd(), "link")->st_gid == 1001);
  CHECK(find_status(scratch.fd(), "target")->st_uid == 0);
}

TEST_CASE("a device is made with its numbers, and an existing one is left alone", "[file]") {
  if (test::skip_unless_root()) return;
  const test::Scratch scratch;
  CHECK(make_node(scratch.fd(), "device", S_IFCHR | 0600, makedev(1, 3)));
  CHECK_FALSE(make_node(scratch.fd(), "device", S_IFCHR | 0666, makedev(1, 5)));
  const auto found = find_status(scratch.fd(), "device");
  REQUIRE(found);
  CHECK(found->st_rdev == makedev(1, 3));
  CHECK((found->st_mode & 07777) == 0600);
}

TEST_CASE("what may not be opened is an error and not taken for missing", "[file]") {
  if (test::skip_unless_root()) return;
  const test::Scratch scratch;
  scratch.write("secret", "", 0);
  const Child child = spawn({}, [&] {
    if (::setresuid(1000, 1000, 1000) != 0) return 1;
    try {
      find_at(scratch.fd(), "secret", O_RDONLY);
    } catch (const Error& error) {
      return error.errno_value() == EACCES ? 0 : 2;
    }
    return 3;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

}  // namespace
}  // namespace tare::sys
