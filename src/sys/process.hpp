/// Processes, by pidfd: making them, joining their namespaces, signalling and awaiting them.
///
/// A child made here is a copy of this process, with its memory and descriptors, and no exec
/// between. Constraints that this rests on:
///  1. The whole program is single-threaded (no library of ours starts a thread), so the child's
///     copy of malloc and of every lock is whole: it may allocate, throw and format.
///  2. Never CLONE_VM, as our code runs in the child: sys/borrower.hpp is the exception.
///  3. The raw call runs no atfork handlers and leaves glibc's cached thread id stale: harmless
///     without threads; pthread_* is forbidden.
///  4. The child's frame never unwinds into the parent's: spawn catches everything and leaves by
///     _exit, so no destructor of the parent (rollback above all) runs twice.
///  5. A static program must not call NSS (getpwnam, getaddrinfo, iconv, locales): glibc would load
///     libraries of the container's rootfs (the class of CVE-2019-14271).
///  6. In a new pid namespace the child is pid 1, for which default-action signals are ignored: it
///     fails by a message and _exit, not by a signal.
#pragma once

#include <sys/types.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "sys/fd.hpp"

namespace tare::sys {

/// What clone3(2) is asked for.
struct CloneRequest {
  std::uint64_t namespaces = 0;   ///< CLONE_NEW* bits
  std::optional<FdRef> cgroup{};  ///< the cgroup v2 directory that the child starts in
  bool sibling = false;           ///< CLONE_PARENT: the caller's parent becomes the child's
  bool with_pidfd = true;         ///< or the child is known by its pid alone
};

/// A process that was made here. Dropping it neither kills nor awaits it.
struct Child {
  pid_t pid = -1;
  Fd pidfd{};
};

/// The raw clone3: pid 0 in the child. Use spawn. Throws Error(system) in the parent.
Child clone_process(const CloneRequest& request);

/// Leaves this process at once: no destructors, no atexit.
[[noreturn]] void exit_now(int status) noexcept;

/// Runs `body` and leaves by exit_now: with its result, or 1 if anything escapes it.
[[noreturn]] void run_child(int (*trampoline)(void*), void* body) noexcept;

/// Makes a child that runs `body` (int()) and exits with its result. Throws Error(system).
template <std::invocable Body>
Child spawn(const CloneRequest& request, Body&& body) {
  Child child = clone_process(request);
  if (child.pid != 0) return child;
  run_child([](void* raw) { return (*static_cast<std::remove_cvref_t<Body>*>(raw))(); },
            const_cast<void*>(static_cast<const void*>(&body)));
}

/// How a process ended, as a shell reports it.
struct ExitStatus {
  int code = 0;    ///< the exit code, where signal is 0
  int signal = 0;  ///< the signal that ended it, or 0
  /// The exit code, or 128 + signal.
  int shell_code() const noexcept { return signal != 0 ? 128 + signal : code; }
};

/// Waits for a child by its pidfd and reaps it. Throws Error(system).
ExitStatus wait_for(FdRef pidfd);

/// The same by the pid of a child that nobody else reaps.
ExitStatus wait_for_pid(pid_t pid);

/// Reaps whatever children have ended without waiting; a subreaper inherits orphans.
/// Returns the status of `pid` when it was among them.
std::optional<ExitStatus> reap_ended(pid_t pid);

/// pidfd_open(2); nullopt when there is no such process. Throws Error(system) otherwise.
std::optional<Fd> open_pidfd(pid_t pid);

/// True when the process behind the pidfd has ended (it may still be a zombie).
bool has_ended(FdRef pidfd);

/// False for a process, living or dead, that is still the copy of the one that forked it: execve
/// has not succeeded in it. True also where nothing is known of it any more. Throws Error(system).
bool has_executed(pid_t pid);

/// Waits until the process behind the pidfd has ended, without reaping it; false after
/// `timeout_ms`.
bool await_end(FdRef pidfd, int timeout_ms);

/// pidfd_send_signal(2); false when the process has ended (ESRCH). Throws Error(system) otherwise.
bool send_signal(FdRef pidfd, int signal);

/// A copy of another process's descriptor `number` (pidfd_getfd(2)), closed on exec. Needs the
/// right to trace that process. Throws Error(system).
Fd copy_descriptor(FdRef pidfd, int number);

/// What tells one process from a later one that has the same pid: the inode of its pidfd, which is
/// unique for one boot (pidfs, Linux 6.9), or before that the start time of /proc/PID/stat.
struct ProcessIdentity {
  std::uint64_t pidfs_inode = 0;  ///< 0 where pidfds have no inode of their own
  std::uint64_t start_time = 0;   ///< in clock ticks since boot; 0 where pidfs_inode is known
  bool operator==(const ProcessIdentity&) const = default;
};

/// The identity of the process behind a pidfd. Throws Error(system).
ProcessIdentity identify(pid_t pid, FdRef pidfd);

/// A pidfd of `pid` if that is still the process that `identity` tells of; nullopt if it has ended,
/// zombies included. Throws Error(system).
std::optional<Fd> open_identified(pid_t pid, const ProcessIdentity& identity);

/// setns(2) with a pidfd (several CLONE_NEW* at once) or a namespace file (one, or 0 for its own
/// type).
void join_namespaces(FdRef target, int types);

/// unshare(2).
void unshare(std::uint64_t namespaces);

/// execve(2); returns only when it fails, with errno.
int execute(const std::string& path, const std::vector<std::string>& arguments,
            const std::vector<std::string>& environment) noexcept;

/// execveat(2) of the file that `program` holds, O_PATH or not; returns only when it fails, with
/// errno. A script fails: its interpreter could not be told where it is.
int execute_descriptor(FdRef program, const std::vector<std::string>& arguments,
                       const std::vector<std::string>& environment) noexcept;

/// The effective user id of this process.
uid_t own_user() noexcept;

/// This process's pid, as its own pid namespace has it.
pid_t own_pid() noexcept;

/// chroot(2) into a directory, and the current directory there.
void change_root(FdRef directory);

/// Starts a session without a terminal. Throws Error(system).
void new_session();

/// PR_SET_DUMPABLE: false keeps ptrace and /proc/PID from processes without CAP_SYS_PTRACE.
void set_dumpable(bool dumpable);

/// PR_SET_CHILD_SUBREAPER for this process.
void become_subreaper();

/// PR_SET_PDEATHSIG: this process is sent `signal` when its parent ends.
void signal_at_parent_death(int signal);

}  // namespace tare::sys
