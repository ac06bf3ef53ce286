#include <fcntl.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>

#include "features/seccomp_table.hpp"
#include "filter_machine.hpp"
#include "sys/file.hpp"

namespace tare::seccomp {
namespace {

using test::FilterMachine;

constexpr std::uint32_t kAllow = SCMP_ACT_ALLOW;
constexpr std::uint32_t kEperm = SCMP_ACT_ERRNO(EPERM);
constexpr std::uint32_t kEnosys = SCMP_ACT_ERRNO(ENOSYS);

constexpr std::uint64_t kLarge = 0x1122334455667788;

seccomp_data call(std::uint32_t architecture, std::uint32_t number,
                  std::vector<std::uint64_t> arguments = {}) {
  seccomp_data data{.nr = static_cast<int>(number), .arch = architecture};
  std::copy(arguments.begin(), arguments.end(), data.args);
  return data;
}

// A table with one call, number 7, that is allowed where the comparison holds.
FilterMachine comparing(const Argument& argument, bool wide = true, bool little_endian = true) {
  const Answer answer{
      .checks = {{.arguments = {argument}, .action = kAllow}}, .otherwise = kEperm, .wide = wide};
  return FilterMachine(assemble(
      {{.audit_architecture = AUDIT_ARCH_X86_64,
        .little_endian = little_endian,
        .ranges = {{0, {.otherwise = kEperm}}, {7, answer}, {8, {.otherwise = kEperm}}}}}));
}

bool holds(int comparison, std::uint64_t value, std::uint64_t argument) {
  const Argument rule{.index = 3, .value = value, .comparison = comparison};
  return comparing(rule).run(call(AUDIT_ARCH_X86_64, 7, {0, 0, 0, argument})) == kAllow;
}

TEST_CASE("every operator compares all 64 bits as unsigned numbers", "[seccomp]") {
  const std::uint64_t values[] = {0,
                                  1,
                                  0xffffffff,
                                  0x100000000,
                                  0x100000001,
                                  kLarge,
                                  kLarge + 1,
                                  kLarge - 1,
                                  1ULL << 63U,
                                  ~0ULL,
                                  kLarge + (1ULL << 32U),
                                  kLarge - (1ULL << 32U)};
  for (const std::uint64_t value : values) {
    for (const std::uint64_t argument : values) {
      CAPTURE(value, argument);
      CHECK(holds(SCMP_CMP_EQ, value, argument) == (argument == value));
      CHECK(holds(SCMP_CMP_NE, value, argument) == (argument != value));
      CHECK(holds(SCMP_CMP_LT, value, argument) == (argument < value));
      CHECK(holds(SCMP_CMP_LE, value, argument) == (argument <= value));
      CHECK(holds(SCMP_CMP_GT, value, argument) == (argument > value));
      CHECK(holds(SCMP_CMP_GE, value, argument) == (argument >= value));
    }
  }
}

TEST_CASE("a masked comparison looks at the mask's bits only, in both halves", "[seccomp]") {
  const std::uint64_t masks[] = {0, 0x7e020000, 0xff00000000, 0xff000000ff, ~0ULL};
  const std::uint64_t values[] = {0, 0x20000, 0x1100000000, 0x1100000088, kLarge};
  for (const std::uint64_t mask : masks) {
    for (const std::uint64_t wanted : values) {
      for (const std::uint64_t argument : values) {
        CAPTURE(mask, wanted, argument);
        const Argument rule{
            .index = 0, .value = mask, .value_two = wanted, .comparison = SCMP_CMP_MASKED_EQ};
        const bool allowed = comparing(rule).run(call(AUDIT_ARCH_X86_64, 7, {argument})) == kAllow;
        CHECK(allowed == ((argument & mask) == (wanted & mask)));
      }
    }
  }
}

TEST_CASE("where arguments have 32 bits the high half decides nothing", "[seccomp]") {
  const Argument rule{.index = 0, .value = 5, .comparison = SCMP_CMP_EQ};
  const seccomp_data dirty = call(AUDIT_ARCH_X86_64, 7, {kLarge << 32U | 5});
  CHECK(comparing(rule, false).run(dirty) == kAllow);
  CHECK(comparing(rule, true).run(dirty) == kEperm);
}

TEST_CASE("on a big-endian machine the high half comes first", "[seccomp]") {
  const Argument rule{.index = 1, .value = kLarge, .comparison = SCMP_CMP_EQ};
  const FilterMachine machine = comparing(rule, true, false);
  // What such a machine has in memory, as this one reads it.
  const std::uint64_t swapped = kLarge << 32U | kLarge >> 32U;
  CHECK(machine.run(call(AUDIT_ARCH_X86_64, 7, {0, swapped})) == kAllow);
  CHECK(machine.run(call(AUDIT_ARCH_X86_64, 7, {0, kLarge})) == kEperm);
}

TEST_CASE("all comparisons of a check must hold, and any of the checks may", "[seccomp]") {
  const Argument first{.index = 0, .value = 1, .comparison = SCMP_CMP_EQ};
  const Argument second{.index = 1, .value = 2, .comparison = SCMP_CMP_GE};
  const Argument third{.index = 5, .value = 3, .comparison = SCMP_CMP_NE};
  const Answer answer{.checks = {{.arguments = {first, second}, .action = kAllow},
                                 {.arguments = {third}, .action = SCMP_ACT_TRAP}},
                      .otherwise = kEperm};
  const FilterMachine machine(
      assemble({{.audit_architecture = AUDIT_ARCH_X86_64, .ranges = {{0, answer}}}}));
  const auto ask = [&](std::vector<std::uint64_t> arguments) {
    return machine.run(call(AUDIT_ARCH_X86_64, 9, std::move(arguments)));
  };
  CHECK(ask({1, 2, 0, 0, 0, 3}) == kAllow);
  CHECK(ask({1, 1, 0, 0, 0, 3}) == kEperm);
  CHECK(ask({2, 2, 0, 0, 0, 3}) == kEperm);
  CHECK(ask({2, 2, 0, 0, 0, 4}) == SCMP_ACT_TRAP);
  CHECK(ask({1, 2, 0, 0, 0, 4}) == kAllow);
}

TEST_CASE("a thousand values of one argument cost an instruction each, and no other value passes",
          "[seccomp]") {
  constexpr std::uint64_t kFirst = (1ULL << 32U) + 5000;
  constexpr std::uint64_t kCount = 1000;
  Answer answer{.otherwise = kEperm};
  for (std::uint64_t i = 0; i < kCount; ++i) {
    answer.checks.push_back(
        {.arguments = {{.index = 2, .value = kFirst + 2 * i, .comparison = SCMP_CMP_EQ}},
         .action = kAllow});
  }
  // One of another action in the middle must keep its place: the first check that holds decides.
  answer.checks[500].action = kEnosys;
  answer.checks[700].arguments[0].value = kFirst + 2 * 500;
  const std::string program =
      assemble({{.audit_architecture = AUDIT_ARCH_X86_64, .ranges = {{0, answer}}}});
  CHECK(program.size() / 8 < kCount + 60);
  const FilterMachine machine(program);
  const auto answer_to = [&](std::uint64_t value) {
    return machine.run(call(AUDIT_ARCH_X86_64, 7, {0, 0, value}));
  };
  for (std::uint64_t i = 0; i < kCount; ++i) {
    CAPTURE(i);
    CHECK(answer_to(kFirst + 2 * i) == (i == 500 ? kEnosys : i == 700 ? kEperm : kAllow));
    CHECK(answer_to(kFirst + 2 * i + 1) == kEperm);
    CHECK(answer_to(kFirst + 2 * i - (1ULL << 32U)) == kEperm);
  }
}

TEST_CASE("each number gets the answer of its range, however many ranges there are", "[seccomp]") {
  // More than a conditional jump can span, and answers of many kinds, so that returns cannot be
  // shared.
  const std::uint32_t count = GENERATE(1U, 2U, 3U, 255U, 256U, 257U, 1300U);
  const std::uint32_t kinds = GENERATE(2U, 50U);
  Table table{.audit_architecture = AUDIT_ARCH_X86_64};
  for (std::uint32_t at = 0; at < count; ++at) {
    table.ranges.push_back({at * 3, {.otherwise = SCMP_ACT_ERRNO(at % kinds)}});
  }
  const FilterMachine machine(assemble({table}));
  for (std::uint32_t number = 0; number < count * 3; ++number) {
    CAPTURE(count, kinds, number);
    REQUIRE(machine.run(call(AUDIT_ARCH_X86_64, number)) == SCMP_ACT_ERRNO(number / 3 % kinds));
  }
  CHECK(machine.run(call(AUDIT_ARCH_X86_64, ~0U)) == SCMP_ACT_ERRNO((count - 1) % kinds));
}

TEST_CASE("each architecture has its own table, and one without is killed", "[seccomp]") {
  Table near{.audit_architecture = AUDIT_ARCH_X86_64};
  for (std::uint32_t at = 0; at < 500; ++at) {
    near.ranges.push_back({at, {.otherwise = at % 2 == 0 ? kAllow : kEperm}});
  }
  const Table far{.audit_architecture = AUDIT_ARCH_I386,
                  .ranges = {{0, {.otherwise = SCMP_ACT_TRAP}}}};
  const FilterMachine machine(assemble({near, far}));
  CHECK(machine.run(call(AUDIT_ARCH_X86_64, 400)) == kAllow);
  CHECK(machine.run(call(AUDIT_ARCH_X86_64, 401)) == kEperm);
  CHECK(machine.run(call(AUDIT_ARCH_I386, 400)) == SCMP_ACT_TRAP);
  CHECK(machine.run(call(AUDIT_ARCH_AARCH64, 400)) == SCMP_ACT_KILL_THREAD);
}

TEST_CASE("a filter that the kernel would not take is refused with its length", "[seccomp]") {
  Table table{.audit_architecture = AUDIT_ARCH_X86_64};
  for (std::uint32_t at = 0; at < 5000; ++at) {
    table.ranges.push_back({at, {.otherwise = SCMP_ACT_ERRNO(at % 3)}});
  }
  try {
    assemble({table});
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.message().find("the kernel's limit is 4096") != std::string::npos);
  }
}

// The same plan through libseccomp, whose answers runc's and crun's users know.
std::string by_libseccomp(const Plan& plan) {
  const scmp_filter_ctx context = seccomp_init(plan.default_action);
  for (const std::uint32_t token : plan.architectures) seccomp_arch_add(context, token);
  for (const Rule& rule : plan.rules) {
    if (rule.action == plan.default_action) continue;
    std::vector<scmp_arg_cmp> arguments;
    for (const Argument& argument : rule.arguments) {
      arguments.push_back({.arg = argument.index,
                           .op = static_cast<scmp_compare>(argument.comparison),
                           .datum_a = argument.value,
                           .datum_b = argument.value_two});
    }
    for (const std::string& name : rule.names) {
      const int number = seccomp_syscall_resolve_name(name.c_str());
      if (number == __NR_SCMP_ERROR) continue;
      REQUIRE(seccomp_rule_add_array(context, rule.action, number,
                                     static_cast<unsigned>(arguments.size()),
                                     arguments.data()) == 0);
    }
  }
  const sys::Fd file(::memfd_create("filter", MFD_CLOEXEC));
  REQUIRE(seccomp_export_bpf(context, file.number()) == 0);
  seccomp_release(context);
  ::lseek(file.number(), 0, SEEK_SET);
  return sys::read_all(file);
}

Argument compared(unsigned index, int comparison, std::uint64_t value, std::uint64_t two = 0) {
  return {.index = index, .value = value, .value_two = two, .comparison = comparison};
}

// The shapes of Docker's and podman's profiles: long lists, flags of clone, families of socket,
// values of personality; calls that only some architectures have; names that none has.
Plan like_docker(std::uint32_t default_action, std::uint32_t action) {
  return {
      .enabled = true,
      .default_action = default_action,
      .architectures = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32, SCMP_ARCH_AARCH64,
                        SCMP_ARCH_ARM, SCMP_ARCH_RISCV64},
      .rules = {
          {.names = {"read",         "write",   "openat",       "close",      "mmap",
                     "mmap2",        "waitpid", "accept4",      "bind",       "semget",
                     "shmat",        "clone3",  "sigreturn",    "arch_prctl", "cacheflush",
                     "no_such_call", "futex",   "futex_time64", "statx",      "epoll_pwait2"},
           .action = action},
          {.names = {"clone"},
           .action = action,
           .arguments = {compared(0, SCMP_CMP_MASKED_EQ, 0x7e020000, 0)}},
          {.names = {"personality"}, .action = action, .arguments = {compared(0, SCMP_CMP_EQ, 0)}},
          {.names = {"personality"}, .action = action, .arguments = {compared(0, SCMP_CMP_EQ, 8)}},
          {.names = {"personality"},
           .action = action,
           .arguments = {compared(0, SCMP_CMP_EQ, 0xffffffff)}},
          {.names = {"socket"}, .action = action, .arguments = {compared(0, SCMP_CMP_NE, 40)}},
          {.names = {"ioctl"},
           .action = SCMP_ACT_ERRNO(5),
           .arguments = {compared(1, SCMP_CMP_GT, kLarge), compared(2, SCMP_CMP_LE, 9)}},
          {.names = {"ioctl"},
           .action = action,
           .arguments = {compared(1, SCMP_CMP_LE, kLarge), compared(2, SCMP_CMP_GE, 3)}},
          {.names = {"kill"}, .action = action, .arguments = {compared(1, SCMP_CMP_LT, 9)}},
          {.names = {"kill"}, .action = SCMP_ACT_TRAP},
          {.names = {"mkdir", "ptrace"}, .action = default_action},
      }};
}

// Whether two programs answer alike to this call; with a number for a person to find.
void compare(const FilterMachine& ours, const FilterMachine& theirs, const seccomp_data& data) {
  const std::uint32_t answer = ours.run(data);
  if (answer == theirs.run(data)) return;
  CAPTURE(data.arch, data.nr, data.args[0], data.args[1], data.args[2]);
  FAIL("ours is " << answer << ", libseccomp's " << theirs.run(data));
}

TEST_CASE("a filter answers as libseccomp's does, to every call of every architecture",
          "[seccomp]") {
  // With an action that lets calls through as the default nothing is hidden, so all must be equal.
  const auto [by_default, action] =
      GENERATE(std::pair<std::uint32_t, std::uint32_t>(kAllow, kEperm),
               std::pair<std::uint32_t, std::uint32_t>(SCMP_ACT_LOG, SCMP_ACT_TRACE(7)));
  const Plan plan = like_docker(by_default, action);
  const FilterMachine ours(assemble(resolve(plan)));
  const FilterMachine theirs(by_libseccomp(plan));
  const std::vector<std::uint64_t> samples[] = {
      {0, 0, 0},       {40, 3, 9},          {8, kLarge, 3},          {1, kLarge + 1, 9},
      {2, 1, 10},      {0xffffffff, 9, 2},  {0x20000, 8, 3},         {~0ULL, ~0ULL, ~0ULL},
      {14, kLarge, 2}, {0x100000000, 4, 5}, {0x7e020000, kLarge, 4}, {3, 8, 0x100000003}};
  const std::uint32_t architectures[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386,    AUDIT_ARCH_AARCH64,
                                         AUDIT_ARCH_ARM,    AUDIT_ARCH_RISCV64, AUDIT_ARCH_PPC64};
  for (const std::uint32_t architecture : architectures) {
    for (const auto& arguments : samples) {
      for (std::uint32_t number = 0; number < 600; ++number) {
        compare(ours, theirs, call(architecture, number, arguments));
        compare(ours, theirs, call(architecture, 0x40000000 + number, arguments));
      }
      compare(ours, theirs, call(architecture, ~0U, arguments));
    }
  }
}

TEST_CASE("a profile as long as Docker's takes a third of libseccomp's instructions at most",
          "[seccomp]") {
  Plan plan{.enabled = true,
            .default_action = kEperm,
            .architectures = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32},
            .rules = {{.action = kAllow}}};
  for (int number = 0; number < 450; ++number) {
    if (number % 10 == 0) continue;
    char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
    if (name != nullptr) plan.rules[0].names.emplace_back(name);
    std::free(name);
  }
  REQUIRE(plan.rules[0].names.size() > 300);
  const FilterMachine ours(assemble(resolve(plan)));
  CHECK(ours.size() * 3 < FilterMachine(by_libseccomp(plan)).size());
}

TEST_CASE("with a strict default the answers differ from libseccomp's only in ENOSYS",
          "[seccomp]") {
  const Plan plan = like_docker(kEperm, kAllow);
  const FilterMachine ours(assemble(resolve(plan)));
  const FilterMachine theirs(by_libseccomp(plan));
  const auto newest = static_cast<std::uint32_t>(seccomp_syscall_resolve_name("epoll_pwait2"));
  for (std::uint32_t number = 0; number < 700; ++number) {
    const seccomp_data data = call(AUDIT_ARCH_X86_64, number, {40, 2, 3});
    CAPTURE(number);
    CHECK(ours.run(data) == (number > newest ? kEnosys : theirs.run(data)));
  }
}

TEST_CASE("x32 is killed where only x86_64 was named, but not the number of a skipped call",
          "[seccomp]") {
  const Plan plan{
      .enabled = true, .default_action = kAllow, .rules = {{.names = {"read"}, .action = kEperm}}};
  const FilterMachine ours(assemble(resolve(plan)));
  const FilterMachine theirs(by_libseccomp(plan));
  for (const std::uint32_t number : {0U, 1U, 0x3fffffffU, 0x40000000U, 0x40000001U, ~0U}) {
    compare(ours, theirs, call(AUDIT_ARCH_X86_64, number));
  }
  CHECK(ours.run(call(AUDIT_ARCH_X86_64, 0x40000000)) == SCMP_ACT_KILL_THREAD);
  CHECK(ours.run(call(AUDIT_ARCH_X86_64, ~0U)) == kAllow);
}

}  // namespace
}  // namespace tare::seccomp
