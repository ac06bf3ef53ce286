#include "sys/seccomp.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/describe.hpp"

namespace tare::sys {
namespace {

constexpr std::array kFilterFlagNames{
    FlagName{SECCOMP_FILTER_FLAG_TSYNC, "SECCOMP_FILTER_FLAG_TSYNC"},
    FlagName{SECCOMP_FILTER_FLAG_LOG, "SECCOMP_FILTER_FLAG_LOG"},
    FlagName{SECCOMP_FILTER_FLAG_SPEC_ALLOW, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
    FlagName{SECCOMP_FILTER_FLAG_NEW_LISTENER, "SECCOMP_FILTER_FLAG_NEW_LISTENER"},
    FlagName{SECCOMP_FILTER_FLAG_TSYNC_ESRCH, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"},
    // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV of Linux 5.19, newer than some kernel headers.
    FlagName{1U << 5U, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"},
};

}  // namespace

Fd load_seccomp_filter(std::string_view program, unsigned flags) {
  // The kernel copies the instructions, so it does not matter to it how they are aligned.
  const std::size_t count = program.size() / sizeof(sock_filter);
  const sock_fprog filter{
      .len = static_cast<unsigned short>(count),
      .filter = const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(program.data()))};
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
  const bool listens = (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0;
  if (result == 0 && !listens) return Fd();
  if (result >= 0 && listens) return Fd(static_cast<int>(result));
  // With TSYNC a positive result is the id of a thread that could not be brought under the filter.
  const int number = result > 0 ? ESRCH : errno;
  raise(number, "seccomp(SECCOMP_SET_MODE_FILTER, {}, {} instructions)",
        flags == 0 ? "0" : describe_flags(flags, kFilterFlagNames), count);
}

bool knows_seccomp_flags(unsigned flags) noexcept {
  // The flags are looked at first: with ones that it knows, the kernel gets as far as the filter,
  // which is not there (kernel/seccomp.c, seccomp_set_mode_filter).
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, nullptr) < 0 && errno == EFAULT;
}

bool knows_seccomp_action(unsigned action) noexcept {
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

}  // namespace tare::sys
