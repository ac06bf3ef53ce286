/// Signals: their names, receiving them through a descriptor, and what a child of ours starts with.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <optional>
#include <string>

#include "sys/fd.hpp"

namespace tare::sys {

/// The number of "KILL", "SIGKILL", "kill", "9" or "SIGRTMIN+3"; 0, which asks whether a process is
/// there, only as a number. Throws Error(usage) `unknown signal "X"`.
int parse_signal(const std::string& text);

/// "SIGKILL", "SIGRTMIN+3", or the number where it is no signal of Linux.
std::string signal_name(int number);

/// What a signal that ends a process is called in errors, in Go's words: "killed", "segmentation
/// fault".
std::string signal_text(int number);

/// All signals held back from this process, to be received through a descriptor instead.
///
/// How to attend a child: make one of these before the child is spawned, so that no signal and no
/// SIGCHLD falls between; pass it to attend(). The child inherits the blocked mask: it calls
/// unblock_signals() before it runs anybody else's program.
class BlockedSignals {
 public:
  /// Blocks every signal that can be. SIGCHLD also gets its default disposition: whoever started us
  /// with it ignored would have the kernel reap our children unasked. Throws Error(system).
  BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  /// Restores the mask that was.
  ~BlockedSignals();
  /// A non-blocking signalfd(2) for all of them. Throws Error(system).
  Fd open() const;

 private:
  sigset_t before_{};
};

/// The number of the next signal that has come through a signalfd; nullopt when none has.
/// Throws Error(system).
std::optional<int> receive_signal(FdRef signals);

/// Gives every signal its default disposition, as a program may expect at its start. The kernel
/// hands on across execve that one is ignored, and a caller that ignores SIGPIPE or SIGINT, as
/// shells and Python do, would disarm the payload. Throws nothing.
void reset_dispositions() noexcept;

/// Blocks no signal, likewise. Throws Error(system).
void unblock_signals();

/// Lets SIGHUP, SIGINT and SIGTERM end this process even where it is the init of a pid namespace,
/// for which the kernel drops every signal that has no handler (pid_namespaces(7)).
/// An execve takes it back. Throws nothing.
void end_at_termination() noexcept;

/// SIGPIPE ignored, as long as this lives: writes to a closed pipe fail with EPIPE instead.
class IgnoredSigpipe {
 public:
  IgnoredSigpipe() noexcept;
  IgnoredSigpipe(const IgnoredSigpipe&) = delete;
  IgnoredSigpipe& operator=(const IgnoredSigpipe&) = delete;
  /// Restores the disposition that was.
  ~IgnoredSigpipe();

 private:
  struct sigaction before_ {};
};

/// SIGCHLD with its default disposition: children stay zombies until they are awaited.
void keep_ended_children() noexcept;

/// Makes this process the leader of a process group of its own. Throws Error(system).
void lead_process_group();

/// Sends a signal to every process of the group that `leader` leads; false when there is none. The
/// leader must be a child of ours that has not been reaped, or its pid may be another's by now.
/// Throws Error(system).
bool signal_group(pid_t leader, int signal);

}  // namespace tare::sys
