#include "sys/stream.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/describe.hpp"
#include "sys/file.hpp"

namespace tare::sys {
namespace {

constexpr int kFirstAfterStdio = 3;

// A caller may start us with its stdio closed; a pipe would then get those numbers.
Fd above_stdio(Fd fd) {
  return fd.number() < kFirstAfterStdio ? duplicate(fd) : std::move(fd);
}

// Opening a regular file anew would lose its offset, a socket cannot be opened, and opening
// /dev/ptmx (char 5:2) makes another terminal.
bool can_be_opened_anew(const struct stat& stream) {
  if (S_ISFIFO(stream.st_mode)) return true;
  return S_ISCHR(stream.st_mode) && stream.st_rdev != makedev(5, 2);
}

}  // namespace

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) raise(errno, "pipe2(O_CLOEXEC)");
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  return {above_stdio(std::move(read_end)), above_stdio(std::move(write_end))};
}

void set_nonblocking(FdRef fd) {
  const int flags = ::fcntl(fd.number(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.number(), F_SETFL, flags | O_NONBLOCK) < 0) {
    raise(errno, "fcntl({}, F_SETFL, O_NONBLOCK)", describe(fd));
  }
}

Fd open_nonblocking(FdRef stream, int access) {
  if (can_be_opened_anew(status(stream))) {
    try {
      return reopen(stream, access | O_NONBLOCK);
    } catch (const Error&) {
      // No procfs, a terminal that belongs to another user (su), a pipe without a reader.
      return duplicate(stream);
    }
  }
  return duplicate(stream);
}

bool poll(std::span<pollfd> watched, int timeout_ms) {
  const int ready = ::poll(watched.data(), watched.size(), timeout_ms);
  if (ready < 0 && errno != EINTR) raise(errno, "poll({} descriptors)", watched.size());
  return ready > 0;
}

std::optional<std::size_t> read_some(FdRef fd, std::span<char> buffer) {
  for (;;) {
    const ssize_t got = ::read(fd.number(), buffer.data(), buffer.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EAGAIN) return std::nullopt;
    // A terminal without its other side; also our own while another process group has it.
    if (errno == EIO) return 0;
    if (errno != EINTR) raise(errno, "read {}", describe(fd));
  }
}

std::optional<std::size_t> write_some(FdRef fd, std::string_view bytes) {
  for (;;) {
    const ssize_t put = ::write(fd.number(), bytes.data(), bytes.size());
    if (put >= 0) return static_cast<std::size_t>(put);
    if (errno == EAGAIN) return 0;
    if (errno == EPIPE || errno == EIO || errno == ECONNRESET) return std::nullopt;
    if (errno != EINTR) raise(errno, "write {}", describe(fd));
  }
}

}  // namespace tare::sys
