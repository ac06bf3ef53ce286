/// What the parent and the container's process say to each other while it is being made.
///
///   init → parent       parent → init     when
///   Joined                                the joiner has made init; pid and pidfd come with it
///   Criu                                  of a restore: criu's socket comes with it, and the
///   numbers
///                                         of its directories
///   NeedIdMap           IdsMapped         in a new user namespace, before anything else
///   BringUp                               a socket in a new network namespace comes with it
///   MapMount            MountMapped       a mount of the container's own tree whose ids are to be
///                                         mapped comes with it; its field is the text
///   Console                               the pty's master comes with it
///   NeedHooks           HooksDone         all mounts are there, the root is not yet entered;
///                                         network devices are moved first
///   NeedLimits          LimitsSet         resource limits that init may not raise itself
///   NeedFilter          Filter            the compiled seccomp filter
///   Listener            ListenerSent      the filter is loaded and has a listener; its number
///   Ready               Proceed           nothing is left that can fail but execve
///   Failed                                ends it: an Error, whole
///   (closed)                              execve has happened, or the process has died
///
/// Each request of init but MapMount comes at most once, and in this order; a parent that is asked
/// for anything else stops: init is ours until it executes the payload, but it already lives in the
/// container.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::stages {

enum class FromInit : char {
  joined = 'J',
  criu = 'U',
  need_id_map = 'M',
  bring_up = 'I',
  map_mount = 'B',
  console = 'C',
  need_hooks = 'H',
  need_limits = 'L',
  need_filter = 'S',
  listener = 'N',
  ready = 'R',
  failed = 'F',
  closed = 'E',  ///< never sent: the other end is closed
};

enum class ToInit : char {
  ids_mapped = 'm',
  mount_mapped = 'b',
  hooks_done = 'h',
  limits_set = 'l',
  filter = 's',
  listener_sent = 'n',
  proceed = 'r',
};

/// A request of init as the parent gets it.
struct Request {
  FromInit kind = FromInit::closed;
  /// Console: the pty's name; Joined: the pid; Listener: the number; Criu: two numbers; MapMount:
  /// the mount's field.
  std::string text{};
  /// Console: the master; Joined: the pidfd; Criu and BringUp: the socket; MapMount: the mount.
  sys::Fd attached{};
};

/// The parent's end.
class ParentEnd {
 public:
  explicit ParentEnd(sys::Fd socket) noexcept;

  /// The next request. A Failed is thrown as the Error that it carries; a request out of order is
  /// an Error(internal).
  Request receive();
  /// Sends an answer. Throws Error(system) where init is gone.
  void send(ToInit kind, std::string_view text = {}) const;
  void close() noexcept { socket_.reset(); }

 private:
  sys::Fd socket_;
  std::string_view to_come_;  ///< the kinds that may still come, in their order
};

/// The end of init, or of the process that exec adds. After the filter is loaded only read(2) and
/// write(2) are used on it: a profile that forbids those could not run anything.
class InitEnd {
 public:
  explicit InitEnd(sys::Fd socket) noexcept : socket_(std::move(socket)) {}

  sys::FdRef fd() const noexcept { return socket_; }
  bool is_open() const noexcept { return static_cast<bool>(socket_); }
  void close() noexcept { socket_.reset(); }

  /// Sends a request. Throws Error(system) where the parent is gone.
  void send(FromInit kind, std::string_view text = {}) const;
  /// Sends a request with a text and a descriptor: before the filter is loaded.
  void send(FromInit kind, std::string_view text, sys::FdRef attached) const;
  /// Best effort, for the last message of a process that has failed.
  void send_failure(const Error& error) const noexcept;
  /// Waits for this answer, which has no text. Leaves the process at once if the parent is gone:
  /// what it had begun is then for `delete` to clear, and a process that nobody awaits must not go
  /// on.
  void expect(ToInit kind) const;
  /// As expect, and gives the text.
  std::string expect_text(ToInit kind) const;

 private:
  std::string take(ToInit kind, std::size_t limit) const;

  sys::Fd socket_;
};

}  // namespace tare::stages
