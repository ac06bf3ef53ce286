#include <linux/audit.h>
#include <seccomp.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "features/seccomp_table.hpp"

namespace tare::seccomp {
namespace {

constexpr std::uint32_t kAllow = SCMP_ACT_ALLOW;
constexpr std::uint32_t kKill = SCMP_ACT_KILL_PROCESS;
constexpr std::uint32_t kEperm = SCMP_ACT_ERRNO(EPERM);
constexpr std::uint32_t kEnosys = SCMP_ACT_ERRNO(ENOSYS);
constexpr std::uint32_t kX32 = 0x40000000;

std::uint32_t number_of(const char* name, std::uint32_t architecture = SCMP_ARCH_X86_64) {
  return static_cast<std::uint32_t>(seccomp_syscall_resolve_name_arch(architecture, name));
}

Argument equals(unsigned index, std::uint64_t value) {
  return {.index = index, .value = value, .comparison = SCMP_CMP_EQ};
}

Plan plan_of(std::uint32_t default_action, std::vector<Rule> rules,
             std::vector<std::uint32_t> architectures = {}) {
  return {.enabled = true,
          .default_action = default_action,
          .architectures = std::move(architectures),
          .rules = std::move(rules)};
}

const Table& table_for(const std::vector<Table>& tables, std::uint32_t architecture) {
  for (const Table& table : tables) {
    if (table.audit_architecture == architecture) return table;
  }
  throw std::runtime_error("no such table");
}

Answer answer_to(const std::vector<Table>& tables, std::uint32_t architecture,
                 std::uint32_t number) {
  Answer found;
  for (const Range& range : table_for(tables, architecture).ranges) {
    if (range.first <= number) found = range.answer;
  }
  return found;
}

// What this machine's own architecture answers to a call that needs no look at its arguments.
std::uint32_t action_for(const Plan& plan, std::uint32_t number) {
  return answer_to(resolve(plan), AUDIT_ARCH_X86_64, number).otherwise;
}

TEST_CASE("a whole table: ranges joined, newer calls hidden, x32 killed", "[seccomp]") {
  // read, write, open and close are 0 to 3 on x86_64.
  const Plan plan = plan_of(kEperm, {{.names = {"write", "close", "read"}, .action = kAllow}});
  const Table expected{.audit_architecture = AUDIT_ARCH_X86_64,
                       .little_endian = true,
                       .ranges = {{0, {.otherwise = kAllow}},
                                  {2, {.otherwise = kEperm}},
                                  {3, {.otherwise = kAllow}},
                                  {4, {.otherwise = kEnosys}},
                                  {kX32, {.otherwise = SCMP_ACT_KILL_THREAD}},
                                  {~0U, {.otherwise = kEperm}}}};
  CHECK(resolve(plan) == std::vector<Table>{expected});
}

TEST_CASE("a syscall newer than every one named fails as on a kernel without it", "[seccomp]") {
  const Plan strict = plan_of(kEperm, {{.names = {"read", "statx"}, .action = kAllow}});
  CHECK(action_for(strict, number_of("statx")) == kAllow);
  CHECK(action_for(strict, number_of("statx") + 1) == kEnosys);
  CHECK(action_for(strict, number_of("clone3")) == kEnosys);
  CHECK(action_for(strict, number_of("statx") - 1) == kEperm);
}

TEST_CASE("a rule that changes nothing still shows what its author knew", "[seccomp]") {
  const Plan plan = plan_of(
      kEperm, {{.names = {"read"}, .action = kAllow}, {.names = {"clone3"}, .action = kEperm}});
  CHECK(action_for(plan, number_of("clone3")) == kEperm);
  CHECK(action_for(plan, number_of("clone3") - 1) == kEperm);
  CHECK(action_for(plan, number_of("clone3") + 1) == kEnosys);
}

TEST_CASE("nothing is hidden where the default lets calls through or a tracer decides",
          "[seccomp]") {
  const std::uint32_t by_default =
      GENERATE(static_cast<std::uint32_t>(SCMP_ACT_ALLOW), static_cast<std::uint32_t>(SCMP_ACT_LOG),
               static_cast<std::uint32_t>(SCMP_ACT_TRACE(1)));
  const Plan plan = plan_of(by_default, {{.names = {"read"}, .action = kEperm}});
  CHECK(action_for(plan, 0) == kEperm);
  CHECK(action_for(plan, 1) == by_default);
  CHECK(action_for(plan, 5000) == by_default);
}

TEST_CASE("newer calls are hidden from killers too, but not where no call is named at all",
          "[seccomp]") {
  CHECK(action_for(plan_of(kKill, {{.names = {"read", "write"}, .action = kAllow}}), 5000) ==
        kEnosys);
  CHECK(action_for(plan_of(kKill, {}), 5000) == kKill);
  CHECK(action_for(plan_of(kKill, {{.names = {"no_such_call"}, .action = kAllow}}), 5000) == kKill);
}

TEST_CASE("each architecture hides by its own numbers, x32 apart from x86_64", "[seccomp]") {
  const auto tables = resolve(plan_of(kEperm, {{.names = {"read", "statx"}, .action = kAllow}},
                                      {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32}));
  REQUIRE(tables.size() == 2);
  CHECK(tables[0].audit_architecture == AUDIT_ARCH_X86_64);
  const std::uint32_t on_x86 = number_of("statx", SCMP_ARCH_X86);
  CHECK(answer_to(tables, AUDIT_ARCH_I386, on_x86).otherwise == kAllow);
  CHECK(answer_to(tables, AUDIT_ARCH_I386, on_x86 + 1).otherwise == kEnosys);
  const std::uint32_t on_x86_64 = number_of("statx");
  CHECK(answer_to(tables, AUDIT_ARCH_X86_64, on_x86_64 + 1).otherwise == kEnosys);
  CHECK(answer_to(tables, AUDIT_ARCH_X86_64, kX32 + on_x86_64).otherwise == kAllow);
  CHECK(answer_to(tables, AUDIT_ARCH_X86_64, kX32 + on_x86_64 + 1).otherwise == kEnosys);
  CHECK(answer_to(tables, AUDIT_ARCH_X86_64, kX32 + on_x86_64 - 1).otherwise == kEperm);
  CHECK(answer_to(tables, AUDIT_ARCH_X86_64, kX32 - 1).otherwise == kEnosys);
}

TEST_CASE("the machine's own architecture counts though it is not named, and none counts twice",
          "[seccomp]") {
  const auto tables =
      resolve(plan_of(kEperm, {{.names = {"read"}, .action = kAllow}},
                      {SCMP_ARCH_AARCH64, SCMP_ARCH_X32, SCMP_ARCH_AARCH64, SCMP_ARCH_S390X}));
  REQUIRE(tables.size() == 3);
  CHECK(tables[0].audit_architecture == AUDIT_ARCH_X86_64);
  CHECK(tables[1].audit_architecture == AUDIT_ARCH_AARCH64);
  CHECK(tables[2].audit_architecture == AUDIT_ARCH_S390X);
  CHECK_FALSE(tables[2].little_endian);
}

TEST_CASE("on s390 an unknown call arrives as number 0 and is hidden as such", "[seccomp]") {
  const auto tables = resolve(plan_of(kEperm, {{.names = {"read"}, .action = kAllow}},
                                      {SCMP_ARCH_S390X, SCMP_ARCH_AARCH64}));
  CHECK(answer_to(tables, AUDIT_ARCH_S390X, 0).otherwise == kEnosys);
  CHECK(answer_to(tables, AUDIT_ARCH_S390X, 1).otherwise == kEperm);
  CHECK(answer_to(tables, AUDIT_ARCH_AARCH64, 0).otherwise == kEperm);
}

TEST_CASE("names that an architecture does not have are left out there", "[seccomp]") {
  const auto tables =
      resolve(plan_of(kEperm, {{.names = {"waitpid", "arch_prctl", "nonsense"}, .action = kAllow}},
                      {SCMP_ARCH_X86}));
  CHECK(answer_to(tables, AUDIT_ARCH_I386, number_of("waitpid", SCMP_ARCH_X86)).otherwise ==
        kAllow);
  CHECK(answer_to(tables, AUDIT_ARCH_X86_64, number_of("arch_prctl")).otherwise == kAllow);
  CHECK(answer_to(tables, AUDIT_ARCH_X86_64, 7).otherwise == kEperm);
}

TEST_CASE("a socket call of x86 is reached directly and through socketcall", "[seccomp]") {
  const Argument family{.index = 0, .value = 40, .comparison = SCMP_CMP_NE};
  const Argument protocol = equals(2, 9);
  const auto tables =
      resolve(plan_of(kEperm,
                      {{.names = {"socket"}, .action = kAllow, .arguments = {family, protocol}},
                       {.names = {"semget"}, .action = kAllow}},
                      {SCMP_ARCH_X86}));
  const Answer direct{.checks = {{.arguments = {family, protocol}, .action = kAllow}},
                      .otherwise = kEperm,
                      .wide = false};
  CHECK(answer_to(tables, AUDIT_ARCH_I386, 359) == direct);
  // SYS_SOCKET is 1; the family can no longer be seen.
  const Answer through{.checks = {{.arguments = {equals(0, 1), protocol}, .action = kAllow}},
                       .otherwise = kEperm,
                       .wide = false};
  CHECK(answer_to(tables, AUDIT_ARCH_I386, number_of("socketcall", SCMP_ARCH_X86)) == through);
  // SEMGET is 2 of ipc(2).
  const Answer ipc{.checks = {{.arguments = {equals(0, 2)}, .action = kAllow}},
                   .otherwise = kEperm,
                   .wide = false};
  CHECK(answer_to(tables, AUDIT_ARCH_I386, number_of("ipc", SCMP_ARCH_X86)) == ipc);
  CHECK(answer_to(tables, AUDIT_ARCH_I386, 393).otherwise == kAllow);
}

TEST_CASE("of rules for one call the broadest wins, wherever it stands", "[seccomp]") {
  const Rule narrow{
      .names = {"kill"}, .action = SCMP_ACT_TRAP, .arguments = {equals(0, 1), equals(1, 2)}};
  const Rule broad{.names = {"kill"}, .action = SCMP_ACT_LOG, .arguments = {equals(1, 2)}};
  const Rule all{.names = {"kill"}, .action = kAllow};
  const Answer only_broad{.checks = {{.arguments = {equals(1, 2)}, .action = SCMP_ACT_LOG}},
                          .otherwise = kEperm};
  const auto answer = [](std::vector<Rule> rules) {
    return answer_to(resolve(plan_of(kEperm, std::move(rules))), AUDIT_ARCH_X86_64,
                     number_of("kill"));
  };
  CHECK(answer({narrow, broad}) == only_broad);
  CHECK(answer({broad, narrow}) == only_broad);
  CHECK(answer({narrow, broad, all}) == Answer{.otherwise = kAllow});
  CHECK(answer({all, narrow, broad}) == Answer{.otherwise = kAllow});
}

TEST_CASE("of rules that match the same or merely overlap the first in the profile wins",
          "[seccomp]") {
  const Rule first{.names = {"kill"}, .action = SCMP_ACT_TRAP, .arguments = {equals(0, 1)}};
  const Rule second{.names = {"kill"}, .action = kAllow, .arguments = {equals(1, 2)}};
  const Rule again{.names = {"kill"}, .action = kAllow, .arguments = {equals(0, 1)}};
  const auto tables = resolve(plan_of(kEperm, {first, second, again}));
  const Answer expected{.checks = {{.arguments = {equals(0, 1)}, .action = SCMP_ACT_TRAP},
                                   {.arguments = {equals(1, 2)}, .action = kAllow}},
                        .otherwise = kEperm};
  CHECK(answer_to(tables, AUDIT_ARCH_X86_64, number_of("kill")) == expected);
}

TEST_CASE("a rule equal to the default action does not stand in the way of a later one",
          "[seccomp]") {
  const Plan plan = plan_of(kEperm, {{.names = {"mkdir"}, .action = kEperm},
                                     {.names = {"mkdir", "rmdir"}, .action = kAllow}});
  CHECK(action_for(plan, number_of("mkdir")) == kAllow);
}

}  // namespace
}  // namespace tare::seccomp
