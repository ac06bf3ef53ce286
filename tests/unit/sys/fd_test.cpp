#include "sys/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <type_traits>

#include "sys/file.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

Fd open_null() {
  return open_at(FdRef::cwd(), "/dev/null", O_RDONLY);
}

bool is_open(int number) {
  return ::fcntl(number, F_GETFD) >= 0;
}

bool closes_on_exec(int number) {
  return (::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0;
}

// Lending from a temporary must not compile: what was lent would be closed at once.
template <typename T>
concept Lends = requires(T owner) {
  static_cast<T&&>(owner).ref();
};
static_assert(Lends<Fd&>);
static_assert(Lends<const Fd&>);
static_assert(!Lends<Fd>);
static_assert(std::is_convertible_v<Fd&, FdRef>);
static_assert(!std::is_convertible_v<Fd, FdRef>);
static_assert(!std::is_copy_constructible_v<Fd>);
static_assert(std::is_nothrow_move_constructible_v<Fd>);

TEST_CASE("a descriptor is closed when its owner goes", "[fd]") {
  int number = -1;
  {
    const Fd fd = open_null();
    number = fd.number();
    CHECK(is_open(number));
    CHECK(closes_on_exec(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("an empty owner closes nothing and is false", "[fd]") {
  Fd fd;
  CHECK_FALSE(fd);
  CHECK(fd.number() == -1);
  fd.reset();
  CHECK_FALSE(fd);
}

TEST_CASE("a descriptor is closed once although it changes hands", "[fd]") {
  Fd first = open_null();
  const int number = first.number();
  Fd second = std::move(first);
  CHECK_FALSE(first);  // NOLINT(bugprone-use-after-move): what is left is what is tested
  CHECK(second.number() == number);
  second.reset();
  CHECK_FALSE(is_open(number));
  CHECK_FALSE(second);
}

TEST_CASE("assigning closes what was held before", "[fd]") {
  Fd fd = open_null();
  const int before = fd.number();
  Fd other = open_null();
  const int after = other.number();
  fd = std::move(other);
  CHECK_FALSE(is_open(before));
  CHECK(fd.number() == after);
  Fd& same = fd;
  fd = std::move(same);
  CHECK(is_open(after));
}

TEST_CASE("a released descriptor stays open", "[fd]") {
  int number = -1;
  {
    Fd fd = open_null();
    number = fd.release();
    CHECK_FALSE(fd);
  }
  CHECK(is_open(number));
  const Fd again(number);
}

TEST_CASE("a duplicate is another descriptor of the same file, above stdio, closed on exec",
          "[fd]") {
  const Fd fd = open_null();
  const Fd copy = duplicate(fd);
  CHECK(copy.number() != fd.number());
  CHECK(copy.number() > 2);
  CHECK(closes_on_exec(copy.number()));
  CHECK(status(copy).st_rdev == status(fd).st_rdev);
}

TEST_CASE("a duplicate never lands on stdio although that is closed", "[fd]") {
  const Child child = spawn({}, [] {
    const Fd fd = open_null();
    ::close(0);
    return duplicate(fd).number();
  });
  CHECK(wait_for(child.pidfd).code > 2);
}

TEST_CASE("what is not open cannot be duplicated, placed or kept", "[fd]") {
  const FdRef closed(987);
  CHECK_THROWS_WITH(duplicate(closed), "fcntl([987], F_DUPFD_CLOEXEC): bad file descriptor");
  CHECK_THROWS_WITH(place(closed, 5), "dup3([987], 5): bad file descriptor");
  CHECK_THROWS_WITH(keep_across_exec(closed), "fcntl([987], F_SETFD): bad file descriptor");
}

TEST_CASE("a placed descriptor survives exec, onto itself as well", "[fd]") {
  const Fd fd = open_null();
  Fd target = open_at(FdRef::cwd(), "/dev/zero", O_RDONLY);
  place(fd, target.number());
  CHECK_FALSE(closes_on_exec(target.number()));
  CHECK(status(target).st_rdev == status(fd).st_rdev);
  CHECK(closes_on_exec(fd.number()));
  place(fd, fd.number());
  CHECK_FALSE(closes_on_exec(fd.number()));
}

TEST_CASE("close_on_exec_from marks what lies above and nothing below", "[fd]") {
  // In a child: the test program's own descriptors are not to be touched.
  const Child child = spawn({}, [] {
    for (const int number : {20, 21, 700}) place(FdRef(2), number);
    close_on_exec_from(21);
    return !closes_on_exec(20) && closes_on_exec(21) && closes_on_exec(700) ? 0 : 1;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("close_from keeps exactly what it is told to", "[fd]") {
  // Unsorted, doubled, empty (-1) and below the first: callers do not sort.
  const Child child = spawn({}, [] {
    for (int number = 20; number < 30; ++number) place(FdRef(2), number);
    close_from(21, {25, -1, 23, 25, 3, 29, 400});
    for (int number = 20; number < 30; ++number) {
      const bool kept = number == 20 || number == 23 || number == 25 || number == 29;
      if (is_open(number) != kept) return number;
    }
    close_from(21);
    return is_open(25) || !is_open(20) ? 1 : 0;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("close_from with the first descriptor among the kept leaves it open", "[fd]") {
  const Child child = spawn({}, [] {
    for (const int number : {20, 21, 22}) place(FdRef(2), number);
    close_from(20, {20, 21});
    return is_open(20) && is_open(21) && !is_open(22) ? 0 : 1;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

}  // namespace
}  // namespace tare::sys
