// Filters at work: each is loaded by a child, which makes the syscalls that it is about.
#include "features/seccomp.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "sys/credentials.hpp"
#include "sys/process.hpp"

namespace tare::seccomp {
namespace {

constexpr int kNothing = 200;
constexpr int kBroken = 250;

// The errno that a syscall gave, as an exit code.
int errno_of(long result) {
  return result < 0 ? errno : 0;
}

sys::ExitStatus end_of(const std::function<int()>& act) {
  const sys::Child child = sys::spawn({}, act);
  return sys::wait_for(child.pidfd);
}

// How a child ends that loads the filter of `plan` and then does `act`.
sys::ExitStatus under(const Plan& plan, const std::function<int()>& act) {
  const Filter filter = compile(plan);
  return end_of([&] {
    try {
      sys::set_no_new_privileges();
      load(filter);
    } catch (const Error&) {
      return kBroken;
    }
    return act();
  });
}

Plan denying(std::uint32_t action, std::vector<Argument> arguments = {}) {
  return {
      .enabled = true,
      .default_action = SCMP_ACT_ALLOW,
      .rules = {{.names = {"getpriority"}, .action = action, .arguments = std::move(arguments)}}};
}

int try_getpriority(long which = 0, long who = 0) {
  return errno_of(::syscall(SYS_getpriority, which, who));
}

TEST_CASE("a rule's errno is what the syscall gives, and others go on", "[seccomp]") {
  CHECK(under(denying(SCMP_ACT_ERRNO(EXDEV)), [] { return try_getpriority(); }).code == EXDEV);
  CHECK(under(denying(SCMP_ACT_ERRNO(EXDEV)), [] {
          return errno_of(::syscall(SYS_getppid));
        }).code == 0);
  CHECK(under(denying(SCMP_ACT_LOG), [] { return try_getpriority(); }).code == 0);
  CHECK(under(denying(SCMP_ACT_ERRNO(0)), [] {
          return ::syscall(SYS_getpriority, 0, 0) == 0 ? kNothing : 0;
        }).code == kNothing);
}

TEST_CASE("every way to kill kills, by SIGSYS", "[seccomp]") {
  for (const std::uint32_t action : {SCMP_ACT_KILL_THREAD, SCMP_ACT_KILL_PROCESS, SCMP_ACT_TRAP}) {
    CAPTURE(action);
    CHECK(under(denying(action), [] { return try_getpriority(); }).signal == SIGSYS);
  }
}

TEST_CASE("a syscall to be traced fails where there is no tracer", "[seccomp]") {
  CHECK(under(denying(SCMP_ACT_TRACE(3)), [] { return try_getpriority(); }).code == ENOSYS);
}

TEST_CASE("arguments decide, all 64 bits of them", "[seccomp]") {
  const Argument who{.index = 1, .value = 0x100000001, .comparison = SCMP_CMP_EQ};
  const Plan plan = denying(SCMP_ACT_ERRNO(EXDEV), {who});
  CHECK(under(plan, [] { return try_getpriority(0, 0x100000001); }).code == EXDEV);
  CHECK(under(plan, [] { return try_getpriority(0, 0); }).code == 0);
  CHECK(under(plan, [] { return try_getpriority(0, 0x300000001) == EXDEV ? 1 : 0; }).code == 0);
}

TEST_CASE("with a strict default only what is named works, and newer calls do not exist",
          "[seccomp]") {
  const Plan plan{
      .enabled = true,
      .default_action = SCMP_ACT_ERRNO(EXDEV),
      .rules = {{.names = {"exit_group", "getppid", "pidfd_open"}, .action = SCMP_ACT_ALLOW}}};
  CHECK(under(plan, [] { return errno_of(::syscall(SYS_getppid)); }).code == 0);
  CHECK(under(plan, [] { return try_getpriority(); }).code == EXDEV);
  CHECK(under(plan, [] { return errno_of(::syscall(SYS_clone3, nullptr, 0)); }).code == ENOSYS);
  CHECK(under(plan, [] { return errno_of(::syscall(SYS_pidfd_open, -1, 0)); }).code == EINVAL);
}

TEST_CASE("a call by the x32 numbers is killed where x32 is not named", "[seccomp]") {
  const auto by_x32 = [] { return errno_of(::syscall(0x40000000 + SYS_getppid)); };
  CHECK(under(denying(SCMP_ACT_ERRNO(1)), by_x32).signal == SIGSYS);
  Plan with_x32 = denying(SCMP_ACT_ERRNO(1));
  with_x32.architectures = {SCMP_ARCH_X32};
  // Kernels without x32 know no such call; those with it do it.
  const sys::ExitStatus status = under(with_x32, by_x32);
  CHECK(status.signal == 0);
  CHECK((status.code == 0 || status.code == ENOSYS));
}

#if defined(__x86_64__)
// A syscall by the numbers of 32-bit x86.
long by_x86(long number) {
  long result = 0;
  asm volatile("int $0x80" : "=a"(result) : "a"(number) : "memory", "r8", "r9", "r10", "r11");
  return result;
}

TEST_CASE("a call by the 32-bit numbers follows its own table", "[seccomp]") {
  constexpr long getppid_of_x86 = 64;
  constexpr long getpriority_of_x86 = 96;
  const auto tried = end_of([] { return by_x86(getppid_of_x86) > 0 ? 0 : 1; });
  // Without it in the kernel, the gate is a fault like any other.
  if (tried.code != 0 || tried.signal != 0) {
    WARN("skipped: this kernel runs no 32-bit syscalls");
    return;
  }
  Plan plan = denying(SCMP_ACT_ERRNO(EXDEV));
  CHECK(under(plan, [] { return by_x86(getppid_of_x86) > 0 ? 0 : 1; }).signal == SIGSYS);
  plan.architectures = {SCMP_ARCH_X86};
  CHECK(under(plan, [] { return by_x86(getppid_of_x86) > 0 ? 0 : 1; }).code == 0);
  CHECK(under(plan, [] { return static_cast<int>(-by_x86(getpriority_of_x86)); }).code == EXDEV);
}
#endif

TEST_CASE("the kernel takes every flag that a plan can have", "[seccomp]") {
  const unsigned long choices[] = {
      0UL, SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
      SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW};
  for (const unsigned long flags : choices) {
    CAPTURE(flags);
    Plan plan = denying(SCMP_ACT_ERRNO(EXDEV));
    plan.flags = static_cast<std::uint32_t>(flags);
    CHECK(under(plan, [] { return try_getpriority(); }).code == EXDEV);
  }
}

TEST_CASE("a filter with SPEC_ALLOW leaves speculation as it was", "[seccomp]") {
  const auto speculation = [] {
    return static_cast<int>(::prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0));
  };
  Plan plan = denying(SCMP_ACT_ERRNO(EXDEV));
  plan.flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  const int before = end_of(speculation).code;
  CHECK(under(plan, speculation).code == before);
}

TEST_CASE("the largest filter that compile() makes is one that the kernel loads", "[seccomp]") {
  Plan plan = denying(SCMP_ACT_ERRNO(EXDEV));
  for (std::uint64_t value = 0; value < 600; ++value) {
    plan.rules.push_back({.names = {"personality"},
                          .action = SCMP_ACT_ERRNO(ENOTTY),
                          .arguments = {{.index = 0, .value = value, .comparison = SCMP_CMP_EQ}}});
  }
  CHECK(under(plan, [] { return errno_of(::syscall(SYS_personality, 599)); }).code == ENOTTY);
  CHECK(under(plan, [] { return errno_of(::syscall(SYS_personality, 0xffffffff)); }).code == 0);
  CHECK(under(plan, [] { return try_getpriority(); }).code == EXDEV);
}

TEST_CASE("a filter that the kernel refuses is an error that names the field and the way out",
          "[seccomp]") {
  const Filter endless{.program = std::string(8, '\0'), .flags = 0};
  try {
    load(endless);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.field() == "/linux/seccomp");
    CHECK(error.message().starts_with("seccomp(SECCOMP_SET_MODE_FILTER, 0, 1 instructions): "));
  }
}

TEST_CASE("without no_new_privs and CAP_SYS_ADMIN the hint names both", "[seccomp]") {
  const Filter filter = compile(denying(SCMP_ACT_ERRNO(EXDEV)));
  const auto try_without = [&] {
    try {
      sys::set_capabilities({});
      load(filter);
    } catch (const Error& error) {
      return error.errno_value() == EACCES &&
                     error.hint() == "set process.noNewPrivileges, or run with CAP_SYS_ADMIN"
                 ? 0
                 : 1;
    }
    return 2;
  };
  CHECK(end_of(try_without).code == 0);
}

}  // namespace
}  // namespace tare::seccomp
