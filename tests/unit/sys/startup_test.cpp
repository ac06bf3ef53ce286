#include "sys/startup.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <initializer_list>

#include "sys/file.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)

namespace {

// What the lowest three descriptors are when these were closed at the start.
int after_closing(std::initializer_list<int> closed, int wanted) {
  const sys::Child child = sys::spawn({}, [&] {
    for (const int number : closed) ::close(number);
    sys::open_missing_standard_streams();
    // The next file of ours must be none of the standard ones.
    const int next = ::open("/dev/null", O_RDONLY);
    return next > 2 && ::fcntl(wanted, F_GETFD) == 0 ? 0 : 1;
  });
  return sys::wait_for(child.pidfd).code;
}

}  // namespace

TEST_CASE("startup: a standard stream that is closed is opened on nothing", "[startup]") {
  CHECK(after_closing({0}, 0) == 0);
  CHECK(after_closing({1}, 1) == 0);
  CHECK(after_closing({2}, 2) == 0);
  CHECK(after_closing({0, 2}, 2) == 0);
  CHECK(after_closing({0, 1, 2}, 0) == 0);
  CHECK(after_closing({}, 1) == 0);
}

TEST_CASE("startup: streams that are open stay what they are", "[startup]") {
  const ino_t before = sys::status(sys::FdRef(1)).st_ino;
  sys::open_missing_standard_streams();
  CHECK(sys::status(sys::FdRef(1)).st_ino == before);
}

TEST_CASE("startup: descriptors that are to be handed on must be open", "[startup]") {
  const sys::Child child = sys::spawn({}, [] {
    sys::close_from(3);
    const int third = ::open("/dev/null", O_RDONLY);
    const int fourth = ::open("/dev/null", O_RDONLY);
    if (third != 3 || fourth != 4) return 1;
    sys::require_open(3, 0);
    sys::require_open(3, 2);
    try {
      sys::require_open(3, 3);
    } catch (const Error& error) {
      return error.message() == "unable to stat preserved-fd 2 (of 3): bad file descriptor" ? 0 : 2;
    }
    return 3;
  });
  CHECK(sys::wait_for(child.pidfd).code == 0);
}

TEST_CASE("startup: gaps between descriptors to be handed on are held until an execve",
          "[startup]") {
  const sys::Child child = sys::spawn({}, [] {
    sys::close_from(3);
    if (::open("/dev/null", O_RDONLY) != 3 || ::dup2(3, 6) != 6) return 1;
    ::close(3);
    sys::hold_gaps(3, 0);
    sys::hold_gaps(3, 4);
    for (const int number : {3, 4, 5}) {
      if (::fcntl(number, F_GETFD) != FD_CLOEXEC) return 2;
    }
    if (::fcntl(6, F_GETFD) != 0) return 3;
    try {
      sys::hold_gaps(3, 5);
    } catch (const Error& error) {
      return error.message() == "unable to stat preserved-fd 4 (of 5): bad file descriptor" ? 0 : 4;
    }
    return 5;
  });
  CHECK(sys::wait_for(child.pidfd).code == 0);
}

TEST_CASE("startup: a program that has its caller's rights is not refused", "[startup]") {
  CHECK_NOTHROW(sys::refuse_elevation());
}
