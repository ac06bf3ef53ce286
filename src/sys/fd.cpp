#include "sys/fd.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/describe.hpp"

namespace tare::sys {

FdRef FdRef::cwd() noexcept {
  return FdRef(AT_FDCWD);
}

void Fd::reset() noexcept {
  // close(2) frees the descriptor even when it reports an error, so there is nothing to retry.
  if (number_ >= 0) ::close(std::exchange(number_, -1));
}

Fd duplicate(FdRef fd) {
  const int copy = ::fcntl(fd.number(), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) raise(errno, "fcntl({}, F_DUPFD_CLOEXEC)", describe(fd));
  return Fd(copy);
}

void place(FdRef fd, int number) {
  // dup3 refuses to do nothing; then the flag is all there is to change.
  if (fd.number() == number) return keep_across_exec(fd);
  if (::dup3(fd.number(), number, 0) < 0) raise(errno, "dup3({}, {})", describe(fd), number);
}

void keep_across_exec(FdRef fd) {
  if (::fcntl(fd.number(), F_SETFD, 0) < 0) raise(errno, "fcntl({}, F_SETFD)", describe(fd));
}

bool is_writable(FdRef fd) noexcept {
  const int flags = ::fcntl(fd.number(), F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

void close_on_exec_from(int first) {
  if (::close_range(static_cast<unsigned>(first), ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
    raise(errno, "close_range({}, ~0, CLOSE_RANGE_CLOEXEC)", first);
  }
}

void close_from(int first, std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned from = static_cast<unsigned>(first);
  for (const int kept : keep) {
    if (kept < first) continue;
    const auto until = static_cast<unsigned>(kept);
    if (until > from && ::close_range(from, until - 1, 0) < 0) {
      raise(errno, "close_range({}, {}, 0)", from, until - 1);
    }
    from = until + 1;
  }
  if (::close_range(from, ~0U, 0) < 0) raise(errno, "close_range({}, ~0, 0)", from);
}

}  // namespace tare::sys
