#include "features/stdio.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "sys/fd.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)

namespace {

constexpr uid_t kUser = 1000;

// The owner of a pipe's end after a child of ours, with it as stdout and /dev/null as the others,
// has given its streams to the user.
uid_t owner_after(bool& null_was_left) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const sys::Fd reader(ends[0]);
  const sys::Fd writer(ends[1]);
  const sys::Child child = sys::spawn({}, [&] {
    const sys::Fd null = sys::open_at(sys::FdRef::cwd(), "/dev/null", O_RDWR);
    ::dup2(null.number(), 0);
    ::dup2(writer.number(), 1);
    ::dup2(null.number(), 2);
    stdio::apply(kUser);
    return sys::status(null).st_uid == 0 ? 0 : 9;
  });
  null_was_left = sys::wait_for(child.pidfd).code == 0;
  return sys::status(reader).st_uid;
}

}  // namespace

TEST_CASE("stdio: a pipe becomes the user's, and /dev/null stays root's", "[stdio]") {
  bool null_was_left = false;
  CHECK(owner_after(null_was_left) == kUser);
  CHECK(null_was_left);
}
