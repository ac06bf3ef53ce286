#include "sys/fifo.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "sys/describe.hpp"
#include "sys/file.hpp"
#include "sys/signals.hpp"
#include "sys/stream.hpp"

namespace tare::sys {

std::optional<Fd> find_read_fifo(FdRef dir, const std::string& path) {
  // fifo(7): with O_NONBLOCK, opening for writing fails at once where nobody reads.
  Fd writer(::openat(dir.number(), path.c_str(), O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  if (!writer) {
    if (errno == ENXIO || errno == ENOENT) return std::nullopt;
    raise(errno, "open {}/{}", describe(dir), path);
  }
  // Anything else would take the byte and never lose its reader.
  if (!S_ISFIFO(status(writer).st_mode)) raise(EINVAL, "open {}: no FIFO", describe(writer));
  return writer;
}

bool write_byte(FdRef writer) {
  const IgnoredSigpipe ignored;
  return write_some(writer, std::string_view("\0", 1)).has_value();
}

void read_byte(FdRef reader) {
  std::array<char, 1> byte{};
  const std::optional<std::size_t> got = read_some(reader, byte);
  if (!got || *got != 1) raise(EPIPE, "read {}", describe(reader));
}

void await_no_reader(FdRef writer) {
  std::array<pollfd, 1> watched{{{.fd = writer.number(), .events = 0, .revents = 0}}};
  // poll(2): POLLERR on the writing side says that the last reader has closed.
  for (;;) {
    if (poll(watched, -1) && (watched[0].revents & POLLERR) != 0) return;
  }
}

}  // namespace tare::sys
