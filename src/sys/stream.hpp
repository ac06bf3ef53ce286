/// Streams that may have nothing to give or no room to take: pipes, terminals, and waiting for
/// several of them at once. Used by whoever has more than one thing to wait for: hooks, and a
/// foreground run.
#pragma once

#include <poll.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "sys/fd.hpp"

namespace tare::sys {

/// The two ends of a pipe; neither is 0, 1 or 2, so that both can be moved there in any order.
struct Pipe {
  Fd read_end{};
  Fd write_end{};
};

/// pipe2(2) with O_CLOEXEC. Throws Error(system).
Pipe make_pipe();

/// Sets O_NONBLOCK. It belongs to the open file, which others may share: only for files of our own
/// making. Throws Error(system).
void set_nonblocking(FdRef fd);

/// A non-blocking descriptor for an inherited stream, with `access` O_RDONLY or O_WRONLY. A
/// terminal or a pipe is opened anew, since O_NONBLOCK on the caller's own open file would outlive
/// us in its shell; what cannot be opened anew is only duplicated, and may block. Throws
/// Error(system).
Fd open_nonblocking(FdRef stream, int access);

/// Waits until one of `watched` is ready, for at most `timeout_ms` (-1: for ever). False when the
/// time is over or a signal came in between. Throws Error(system).
bool poll(std::span<pollfd> watched, int timeout_ms);

/// Reads once: the number of bytes, 0 at the end (a pipe without writers, a terminal whose other
/// side is closed), nullopt when there is nothing now. Throws Error(system).
std::optional<std::size_t> read_some(FdRef fd, std::span<char> buffer);

/// Writes once: the number of bytes taken, 0 when there is no room now, nullopt when nobody is left
/// to read. SIGPIPE must be blocked or ignored. Throws Error(system).
std::optional<std::size_t> write_some(FdRef fd, std::string_view bytes);

}  // namespace tare::sys
