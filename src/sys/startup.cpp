#include "sys/startup.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "sys/describe.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

// What `run` of a plain bundle comes to write to.
constexpr std::uintptr_t kStack = 16U << 10U;

}  // namespace

void make_stack_present() noexcept {
  constexpr std::uintptr_t kPage = 4096;
  const auto now = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) & ~(kPage - 1);
  // Since Linux 5.14.
  ::madvise(reinterpret_cast<void*>(now - kStack), kStack, MADV_POPULATE_WRITE);
}

void refuse_elevation() {
  if (::getauxval(AT_SECURE) == 0) return;
  // Also set where a security module changes the domain at execve, as SELinux does for a runtime
  // that root calls; that gives root nothing that it has not.
  const bool is_root = ::getauxval(AT_UID) == 0 && ::getauxval(AT_EUID) == 0 &&
                       ::getauxval(AT_GID) == ::getauxval(AT_EGID);
  if (is_root) return;
  throw Error(ErrorKind::usage, "refusing to run with the rights of another user",
              "remove the set-user-ID bit and file capabilities from this program");
}

void open_missing_standard_streams() {
  std::array<pollfd, 3> streams{{{.fd = STDIN_FILENO, .events = 0, .revents = 0},
                                 {.fd = STDOUT_FILENO, .events = 0, .revents = 0},
                                 {.fd = STDERR_FILENO, .events = 0, .revents = 0}}};
  // One call tells all three: POLLNVAL is a number that is not open.
  if (::poll(streams.data(), streams.size(), 0) < 0) raise(errno, "poll of the standard streams");
  for (const pollfd& stream : streams) {
    if ((stream.revents & POLLNVAL) == 0) continue;
    // The lowest free number is this one, as those below have been seen to. It is to stay open.
    if (::open("/dev/null", O_RDWR) < 0) raise(errno, "open /dev/null");
  }
}

void require_open(int first, int count) {
  for (int number = first; number < first + count; ++number) {
    if (::fcntl(number, F_GETFD) >= 0) continue;
    throw Error(ErrorKind::usage, fmt::format("unable to stat preserved-fd {} (of {}): {}",
                                              number - first, count, errno_text(errno)));
  }
}

void hold_gaps(int first, int count) {
  if (count == 0) return;
  // Without its last one the count itself is wrong, and runc's error is due for what is missing.
  if (::fcntl(first + count - 1, F_GETFD) < 0) return require_open(first, count);
  for (int number = first; number < first + count - 1; ++number) {
    if (::fcntl(number, F_GETFD) >= 0) continue;
    // The lowest free number is this one, as those below are open. Like every file of ours it does
    // not outlive an execve, so it is none of the payload's.
    if (::open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) raise(errno, "open /dev/null");
  }
}

}  // namespace tare::sys
