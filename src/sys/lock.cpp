#include "sys/lock.hpp"

#include <signal.h>
#include <sys/file.h>

#include <cerrno>

#include "sys/describe.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"

namespace tare::sys {
namespace {

// False where it is held by somebody else.
bool try_lock(FdRef file, int operation) {
  while (::flock(file.number(), operation | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) raise(errno, "flock {}", describe(file));
  }
  return true;
}

}  // namespace

void HeldLock::release() noexcept {
  if (number_ < 0) return;
  ::flock(number_, LOCK_UN);
  number_ = -1;
}

HeldLock lock(FdRef file, LockMode mode, int timeout_ms) {
  const int operation = mode == LockMode::shared ? LOCK_SH : LOCK_EX;
  if (try_lock(file, operation)) return HeldLock(file.number());

  // flock(2) has no timeout, and an alarm would be a handler and a mask for the whole program. A
  // child waits instead: what it gets belongs to the open file, and so to us.
  keep_ended_children();
  const Child waiter = spawn({}, [&] {
    signal_at_parent_death(SIGKILL);
    return ::flock(file.number(), operation) == 0 ? 0 : 1;
  });
  if (!await_end(waiter.pidfd, timeout_ms)) send_signal(waiter.pidfd, SIGKILL);
  wait_for(waiter.pidfd);
  // Asking again is no change if the child has the lock, even in its last moment.
  return try_lock(file, operation) ? HeldLock(file.number()) : HeldLock();
}

}  // namespace tare::sys
