#include "features/stdio.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "sys/fd.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)

namespace {

// The status of a child of ours that has `stream` as all of its standard streams and runs `body`.
template <typename Body>
int in_child(const sys::Fd& stream, Body body) {
  const sys::Child child = sys::spawn({}, [&] {
    for (int number = 0; number < 3; ++number) ::dup2(stream.number(), number);
    return body();
  });
  return sys::wait_for(child.pidfd).code;
}

}  // namespace

TEST_CASE("stdio: streams that are the user's already are left as they are", "[stdio]") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const sys::Fd reader(ends[0]);
  const sys::Fd writer(ends[1]);
  const uid_t own = sys::own_user();
  CHECK(in_child(writer, [own] {
          stdio::apply(own);
          return 7;
        }) == 7);
  CHECK(sys::status(reader).st_uid == own);
}

TEST_CASE("stdio: a stream that is closed is an error, not somebody else's file", "[stdio]") {
  const sys::Fd null = sys::open_at(sys::FdRef::cwd(), "/dev/null", O_RDWR);
  CHECK(in_child(null, [] {
          ::close(1);
          try {
            stdio::apply(4242);
          } catch (const Error&) {
            return 7;
          }
          return 0;
        }) == 7);
}
