#include "sys/seccomp.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "sys/credentials.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

// The exit code of a child that does `act`; 250 where it throws.
int in_child(const std::function<int()>& act) {
  const Child child = spawn({}, [&] {
    try {
      return act();
    } catch (const Error&) {
      return 250;
    }
  });
  return wait_for(child.pidfd).code;
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was thrown";
}

TEST_CASE("a filter is counted in instructions, and its flags are named", "[seccomp]") {
  const std::string two(2 * sizeof(sock_filter), '\0');
  const std::string message = message_of([&] {
    load_seccomp_filter(two, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW | 0x4000);
  });
  CHECK(
      message.starts_with("seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG|"
                          "SECCOMP_FILTER_FLAG_SPEC_ALLOW|0x4000, 2 instructions): "));
}

TEST_CASE("a filter is loaded from bytes at any address", "[seccomp]") {
  const sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const std::string bytes = "x" + std::string(reinterpret_cast<const char*>(allow), sizeof allow);
  CHECK(in_child([&] {
          set_no_new_privileges();
          load_seccomp_filter(std::string_view(bytes).substr(1), 0);
          return ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
        }) == SECCOMP_MODE_FILTER);
}

TEST_CASE("a listener is given if and only if it was asked for", "[seccomp]") {
  const sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const std::string_view bytes(reinterpret_cast<const char*>(allow), sizeof allow);
  CHECK(in_child([&] {
          set_no_new_privileges();
          if (load_seccomp_filter(bytes, 0)) return 1;
          const Fd listener = load_seccomp_filter(bytes, SECCOMP_FILTER_FLAG_NEW_LISTENER);
          if (!listener) return 2;
          return (::fcntl(listener.number(), F_GETFD) & FD_CLOEXEC) != 0 ? 0 : 3;
        }) == 0);
}

TEST_CASE("flags and actions that no kernel has are not known", "[seccomp]") {
  CHECK(knows_seccomp_flags(SECCOMP_FILTER_FLAG_LOG));
  CHECK(knows_seccomp_flags(SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_TSYNC));
  CHECK_FALSE(knows_seccomp_flags(1U << 30U));
  CHECK(knows_seccomp_action(SECCOMP_RET_ERRNO));
  CHECK_FALSE(knows_seccomp_action(0x12340000));
}

}  // namespace
}  // namespace tare::sys
