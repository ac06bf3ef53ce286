/// Locks on open files, by flock(2). Such a lock belongs to the open file and so to every copy of
/// the descriptor: a child made by sys::spawn shares it, and keeps it if its parent dies. That is
/// why a lock is given up by LOCK_UN and not by close(2) alone.
#pragma once

#include <utility>

#include "sys/fd.hpp"

namespace tare::sys {

enum class LockMode { shared, exclusive };

/// A lock that is held; given up when it goes. Must not outlive the descriptor that it was taken
/// on.
class HeldLock {
 public:
  /// Holds nothing.
  HeldLock() noexcept = default;
  /// For lock() only: `number` is locked already.
  explicit HeldLock(int number) noexcept : number_(number) {}
  HeldLock(HeldLock&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  HeldLock& operator=(HeldLock&& other) noexcept {
    if (this != &other) {
      release();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock() { release(); }

  /// Gives the lock up now, for every process that shares the open file.
  void release() noexcept;
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// Locks an open file, waiting for at most `timeout_ms`; an empty HeldLock when somebody else held
/// it all that time. Throws Error(system).
HeldLock lock(FdRef file, LockMode mode, int timeout_ms);

}  // namespace tare::sys
