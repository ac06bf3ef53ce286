#include "sys/borrower.hpp"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

#include "sys/describe.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

struct Work {
  int (*body)(void*);
  void* argument;
};

#if defined(__x86_64__)
[[noreturn]] void begin(const Work* work) noexcept {
  run_child(work->body, work->argument);
}

// clone3 of a child that begins in begin() and comes back here only in the parent. The child goes
// on below the stack that this process has in use, 128 bytes of which the compiler may use without
// saying so (System V ABI, "The Stack Frame"), so nothing of it is written to.
long clone_borrower(clone_args& arguments, const Work& work) noexcept {
  long result = SYS_clone3;
  __asm__ volatile(
      "syscall\n"
      "testq %%rax, %%rax\n"
      "jnz 1f\n"
      "subq $256, %%rsp\n"
      "andq $-16, %%rsp\n"
      "movq %[work], %%rdi\n"
      "xorl %%ebp, %%ebp\n"
      "call *%[begin]\n"
      "1:\n"
      : "+a"(result)
      : "D"(&arguments), "S"(sizeof arguments), [work] "r"(&work), [begin] "r"(&begin)
      : "rcx", "r11", "memory");
  return result;
}
#else
long clone_borrower(clone_args&, const Work&) noexcept {
  return -ENOSYS;
}
#endif

}  // namespace

ExitStatus run_borrower(std::optional<FdRef> cgroup, int (*body)(void*), void* argument) {
  struct clone_args arguments {};
  arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND;
  // Which what the child makes as its sibling takes over from it (clone(2), CLONE_PARENT).
  arguments.exit_signal = SIGCHLD;
  if (cgroup) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(cgroup->number());
  }
  const long pid = clone_borrower(arguments, {.body = body, .argument = argument});
  if (pid < 0) {
    raise(static_cast<int>(-pid), "clone3({}{})", "CLONE_VM",
          cgroup ? ", into " + describe(*cgroup) : "");
  }
  return wait_for_pid(static_cast<pid_t>(pid));
}

}  // namespace tare::sys
