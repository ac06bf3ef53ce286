#include <seccomp.h>

#include <catch2/catch.hpp>

#include "features/seccomp_table.hpp"

namespace tare::seccomp {
namespace {

TEST_CASE("a call that libseccomp knows has the number that it says", "[seccomp_names]") {
  CHECK(number_of(SCMP_ARCH_X86_64, "mkdir") == 83);
  CHECK(number_of(SCMP_ARCH_AARCH64, "mkdirat") == 34);
  CHECK(number_of(SCMP_ARCH_X86, "socket") ==
        seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, "socket"));
  CHECK(number_of(SCMP_ARCH_AARCH64, "mkdir") < 0);
}

TEST_CASE("a call newer than libseccomp has its one number, beside what an ABI adds",
          "[seccomp_names]") {
  const std::pair<std::uint32_t, int> cases[] = {
      {SCMP_ARCH_X86_64, 462},           {SCMP_ARCH_X86, 462},
      {SCMP_ARCH_AARCH64, 462},          {SCMP_ARCH_S390X, 462},
      {SCMP_ARCH_X32, 0x40000000 + 462}, {SCMP_ARCH_MIPS, 4462},
      {SCMP_ARCH_MIPSEL64, 5462},        {SCMP_ARCH_MIPS64N32, 6462},
  };
  for (const auto& [token, number] : cases) {
    CAPTURE(token);
    CHECK(number_of(token, "mseal") == number);
  }
  CHECK(number_of(SCMP_ARCH_X86_64, "cachestat") == 451);
  CHECK(number_of(SCMP_ARCH_X86_64, "rseq_slice_yield") == 471);
}

TEST_CASE("a call of one architecture has no number on another", "[seccomp_names]") {
  CHECK(number_of(SCMP_ARCH_X86_64, "uretprobe") == 335);
  CHECK(number_of(SCMP_ARCH_X86, "uretprobe") < 0);
  CHECK(number_of(SCMP_ARCH_X32, "uretprobe") < 0);
  CHECK(number_of(SCMP_ARCH_AARCH64, "riscv_hwprobe") < 0);
}

TEST_CASE("names that no architecture has are told once each, in their order", "[seccomp_names]") {
  const std::vector<Rule> rules = {{.names = {"read", "zork", "mseal"}},
                                   {.names = {"arm_fadvise64_64", "grue", "zork", "Read", ""}}};
  CHECK(unknown_names(rules) == std::vector<std::string>{"zork", "grue", "Read", ""});
}

TEST_CASE("a rule about a call newer than libseccomp is in the table", "[seccomp_names]") {
  const Plan plan{.enabled = true,
                  .default_action = SCMP_ACT_ALLOW,
                  .rules = {{.names = {"open_tree_attr"}, .action = SCMP_ACT_KILL_PROCESS}}};
  const Table expected{.audit_architecture = SCMP_ARCH_X86_64,
                       .little_endian = true,
                       .ranges = {{0, {.otherwise = SCMP_ACT_ALLOW}},
                                  {467, {.otherwise = SCMP_ACT_KILL_PROCESS}},
                                  {468, {.otherwise = SCMP_ACT_ALLOW}},
                                  {0x40000000, {.otherwise = SCMP_ACT_KILL_THREAD}},
                                  {~0U, {.otherwise = SCMP_ACT_ALLOW}}}};
  if (seccomp_arch_native() != SCMP_ARCH_X86_64) {
    WARN("skipped: the table is that of x86_64");
    return;
  }
  CHECK(resolve(plan) == std::vector<Table>{expected});
}

}  // namespace
}  // namespace tare::seccomp
