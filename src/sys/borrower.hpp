/// A child that has this process's memory, and not a copy of it: nothing is copied for it and
/// nothing again when either writes. For one that makes another process and is gone.
///
/// It has a table of descriptors, namespaces, directories, credentials and signal handlers of its
/// own, which are copies. This process stands still until the child has ended (CLONE_VFORK), and
/// finds in memory what the child has written there. So what it runs
///  1. does not close, move or replace a descriptor through the object that owns it: this process
///     would lose it, and still have it open;
///  2. leaves no state behind that it would not mean for this process;
///  3. may be killed in the middle of anything, as by the memory limit of its cgroup: this process
///     then goes on to tell of that and ends. (The kernel's OOM killer takes whoever shares memory
///     with its victim along: __oom_kill_process, mm/oom_kill.c.)
///
/// Whoever may trace the child or read its memory has this process as well. It must not be seen by
/// anybody who could not see this process, nor have fewer rights while others may look at it.
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>

#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace tare::sys {

/// Whether there is a lend_memory for this architecture.
#if defined(__x86_64__)
constexpr bool kLendsMemory = true;
#else
constexpr bool kLendsMemory = false;
#endif

/// Runs `body(argument)` in a child that is born in `cgroup` and ends with its result, or 1 if
/// anything escapes it. Use lend_memory. Throws Error(system).
ExitStatus run_borrower(std::optional<FdRef> cgroup, int (*body)(void*), void* argument);

/// Runs `body` (int()) in a child that borrows this process's memory, waits for its end, reaps it
/// and says how it ended. Throws Error(system).
template <std::invocable Body>
ExitStatus lend_memory(std::optional<FdRef> cgroup, Body&& body) {
  return run_borrower(
      cgroup, [](void* raw) { return (*static_cast<std::remove_cvref_t<Body>*>(raw))(); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace tare::sys
