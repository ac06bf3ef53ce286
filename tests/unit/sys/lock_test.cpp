#include "sys/lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using sys::HeldLock;
using sys::lock;
using sys::LockMode;
using test::Scratch;

namespace {

sys::Fd open_anew(const Scratch& scratch) {
  return sys::open_at(scratch.fd(), ".", O_DIRECTORY);
}

bool can_lock(const Scratch& scratch, LockMode mode) {
  const sys::Fd file = open_anew(scratch);
  return static_cast<bool>(lock(file, mode, 0));
}

}  // namespace

TEST_CASE("lock: an exclusive one excludes all others, and a shared one exclusive ones", "[lock]") {
  const Scratch scratch;
  const sys::Fd file = open_anew(scratch);
  {
    const HeldLock held = lock(file, LockMode::exclusive, 0);
    CHECK(static_cast<bool>(held));
    CHECK_FALSE(can_lock(scratch, LockMode::exclusive));
    CHECK_FALSE(can_lock(scratch, LockMode::shared));
  }
  const HeldLock held = lock(file, LockMode::shared, 0);
  CHECK(can_lock(scratch, LockMode::shared));
  CHECK_FALSE(can_lock(scratch, LockMode::exclusive));
}

TEST_CASE("lock: it is given up when it goes, and moves with its owner", "[lock]") {
  const Scratch scratch;
  const sys::Fd file = open_anew(scratch);
  HeldLock first = lock(file, LockMode::exclusive, 0);
  HeldLock second = std::move(first);
  first.release();
  CHECK_FALSE(can_lock(scratch, LockMode::shared));
  second = HeldLock();
  CHECK(can_lock(scratch, LockMode::exclusive));
}

TEST_CASE("lock: one that is held all the time is not had", "[lock]") {
  const Scratch scratch;
  const sys::Fd file = open_anew(scratch);
  const HeldLock held = lock(file, LockMode::exclusive, 0);
  const sys::Fd other = open_anew(scratch);
  CHECK_FALSE(static_cast<bool>(lock(other, LockMode::exclusive, 30)));
  // Nor has whoever waited for us kept it.
  CHECK_FALSE(can_lock(scratch, LockMode::shared));
}

TEST_CASE("lock: one that is given up in time is had", "[lock]") {
  const Scratch scratch;
  sys::Pipe pipe = sys::make_pipe();
  const sys::Child holder = sys::spawn({}, [&] {
    const sys::Fd file = open_anew(scratch);
    const HeldLock held = lock(file, LockMode::exclusive, 0);
    sys::write_all(pipe.write_end, "x");
    ::poll(nullptr, 0, 30);
    return 0;
  });
  pipe.write_end.reset();
  CHECK(sys::read_all(pipe.read_end) == "x");
  const sys::Fd file = open_anew(scratch);
  CHECK(static_cast<bool>(lock(file, LockMode::exclusive, 10'000)));
  CHECK(sys::wait_for(holder.pidfd).code == 0);
}

TEST_CASE("lock: the end of a holder gives it up", "[lock]") {
  const Scratch scratch;
  sys::Pipe pipe = sys::make_pipe();
  const sys::Child holder = sys::spawn({}, [&] {
    const sys::Fd file = open_anew(scratch);
    const HeldLock held = lock(file, LockMode::exclusive, 0);
    sys::write_all(pipe.write_end, "x");
    return ::pause();
  });
  pipe.write_end.reset();
  std::array<char, 1> byte{};
  CHECK(sys::read_some(pipe.read_end, byte) == 1);
  CHECK_FALSE(can_lock(scratch, LockMode::shared));
  sys::send_signal(holder.pidfd, SIGKILL);
  sys::wait_for(holder.pidfd);
  CHECK(can_lock(scratch, LockMode::exclusive));
}

TEST_CASE("lock: releasing it releases it for a child that inherited the file", "[lock]") {
  const Scratch scratch;
  const sys::Fd file = open_anew(scratch);
  HeldLock held = lock(file, LockMode::exclusive, 0);
  const sys::Child child = sys::spawn({}, [] { return ::pause(); });
  held.release();
  CHECK(can_lock(scratch, LockMode::exclusive));
  sys::send_signal(child.pidfd, SIGKILL);
  sys::wait_for(child.pidfd);
}
