/// run and exec in the foreground: tare stands between its caller and the container's process until
/// that has ended. Signals go to the process, whose terminal, where it has one, is copied to and
/// from ours. After config.md, "Process" (terminal); which signals are passed on is runc's rule.
#pragma once

#include <optional>

#include "stages/notify.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"

namespace tare::stages {

/// Makes the container's terminal one to be attended from here: line ends as they are written, and
/// the size of the terminal that we were called from, if we were. Before the payload starts, so
/// that it never sees another. Throws Error(system).
void make_ready(sys::FdRef console_master);

/// Attends `child`, which was spawned after `blocked` was made, until it has ended; gives its
/// status and reaps it, and whatever orphans a subreaper has been left. Every signal that is
/// received is sent to the child, but for SIGCHLD, SIGPIPE, SIGURG, and SIGWINCH, which takes over
/// our terminal's new size.
///
/// With a `console_master` our terminal is in raw mode meanwhile, and what is read from stdin and
/// from the master is copied across without loss; a side that takes nothing stops the other. What
/// the container has written before its end still comes out. The terminal is restored on every way
/// out. The first READY= that comes to `notify` is passed on, with this process as the one to
/// watch: it ends when the container does. Throws Error(system).
sys::ExitStatus attend(const sys::BlockedSignals& blocked, const sys::Child& child,
                       std::optional<sys::Fd> console_master,
                       std::optional<Notify> notify = std::nullopt);

}  // namespace tare::stages
