/// From names to numbers: which answer each syscall number gets, on each architecture.
#include <linux/audit.h>
#include <seccomp.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>

#include "features/seccomp_table.hpp"

namespace tare::seccomp {
namespace {

// x32 is x86_64 with this bit set in the number (__X32_SYSCALL_BIT, asm/unistd.h).
constexpr std::uint32_t kX32Bit = 0x40000000;
// The number that a tracer gives to skip a syscall (seccomp(2), SECCOMP_RET_TRACE).
constexpr std::uint32_t kSkipped = 0xffffffff;
// libseccomp's answers for calls that an architecture reaches through socketcall(2) and ipc(2):
// minus a hundred or two hundred minus the number of the sub-call (seccomp-syscalls.h, __PNR_*).
constexpr int kSocketCalls = -100;
constexpr int kIpcCalls = -200;
constexpr int kSubCallsEnd = -300;
// How far above socketcall(2) the direct calls of such an architecture lie at most (ppc: 102 to
// 402).
constexpr int kDirectCallsSpan = 350;

// Every call gets the checks that rules gave it; a rule without arguments is a check without any.
using Calls = std::map<std::uint32_t, std::vector<Check>>;

struct FreeText {
  void operator()(char* text) const noexcept { std::free(text); }  // NOLINT: libseccomp's malloc
};

// One architecture in libseccomp's sense, which tells x32 from x86_64.
class Architecture {
 public:
  explicit Architecture(std::uint32_t token) : token_(token) {}

  // Gives `check` to the call `name` under every number that reaches it here; none if it is
  // unknown.
  void add(const std::string& name, const Check& check) {
    const int number = number_of(token_, name);
    if (number >= 0) return insert(number, check);
    if (number > kSocketCalls || number <= kSubCallsEnd) return;
    const int multiplexer = seccomp_syscall_resolve_name_rewrite(token_, name.c_str());
    if (multiplexer < 0) return;
    insert(multiplexer, through_multiplexer(number, check));
    const std::map<std::string, int>& direct = direct_calls();
    const auto found = direct.find(name);
    if (found != direct.end()) insert(found->second, check);
  }

  // Tells that `name` is known to the profile, though its rule changes nothing.
  void mention(const std::string& name) {
    const int number = number_of(token_, name);
    if (number > 0) newest_ = std::max(newest_, static_cast<std::uint32_t>(number));
  }

  const Calls& calls() const noexcept { return calls_; }
  // The highest number that the profile names, or 0.
  std::uint32_t newest() const noexcept { return newest_; }
  bool is_wide() const noexcept { return (token_ & __AUDIT_ARCH_64BIT) != 0; }
  bool multiplexes_unknown() const noexcept {
    return token_ == SCMP_ARCH_S390 || token_ == SCMP_ARCH_S390X;
  }

 private:
  void insert(int number, const Check& check) {
    const auto key = static_cast<std::uint32_t>(number);
    newest_ = std::max(newest_, key);
    calls_[key].push_back(check);
  }

  // A multiplexer has the sub-call in its first argument and a pointer in its second, so what the
  // rule says of the first argument cannot be checked and is left out, as libseccomp does.
  static Check through_multiplexer(int number, const Check& check) {
    const int sub_call = (number > kIpcCalls ? kSocketCalls : kIpcCalls) - number;
    Check out{.arguments = {{.index = 0,
                             .value = static_cast<std::uint64_t>(sub_call),
                             .comparison = SCMP_CMP_EQ}},
              .action = check.action};
    for (const Argument& argument : check.arguments) {
      if (argument.index != 0) out.arguments.push_back(argument);
    }
    return out;
  }

  // The numbers by which later kernels offer the multiplexed calls directly. libseccomp answers for
  // them only when asked number by number.
  const std::map<std::string, int>& direct_calls() {
    if (!direct_calls_.empty()) return direct_calls_;
    const int socketcall = seccomp_syscall_resolve_name_arch(token_, "socketcall");
    for (int number = socketcall; number < socketcall + kDirectCallsSpan; ++number) {
      const std::unique_ptr<char, FreeText> name(seccomp_syscall_resolve_num_arch(token_, number));
      if (name != nullptr) direct_calls_.emplace(name.get(), number);
    }
    return direct_calls_;
  }

  std::uint32_t token_;
  Calls calls_{};
  std::uint32_t newest_ = 0;
  std::map<std::string, int> direct_calls_{};
};

bool is_subset(const std::vector<Argument>& some, const std::vector<Argument>& all) {
  return std::all_of(some.begin(), some.end(), [&](const Argument& argument) {
    return std::find(all.begin(), all.end(), argument) != all.end();
  });
}

// Whether `other` matches all that `check` matches, so that `check` has nothing to add. Of two that
// match the same, the first stays.
bool covers(const Check& other, const Check& check, bool other_is_first) {
  return is_subset(other.arguments, check.arguments) &&
         (other_is_first || !is_subset(check.arguments, other.arguments));
}

// The broadest rule wins, as with libseccomp, whichever comes first in the profile; of rules that
// merely overlap, the first in the profile wins, where libseccomp leaves it open.
Answer answer_of(const std::vector<Check>& checks, std::uint32_t default_action, bool wide) {
  Answer answer{.otherwise = default_action, .wide = wide};
  for (std::size_t i = 0; i < checks.size(); ++i) {
    bool is_covered = false;
    for (std::size_t k = 0; k < checks.size() && !is_covered; ++k) {
      is_covered = k != i && covers(checks[k], checks[i], k < i);
    }
    if (is_covered) continue;
    if (checks[i].arguments.empty()) {
      answer.otherwise = checks[i].action;
    } else {
      answer.checks.push_back(checks[i]);
    }
  }
  // Only calls with checks care how wide their arguments are; else neighbours could not be joined.
  if (answer.checks.empty()) answer.wide = true;
  return answer;
}

// Appends ranges in ascending order and joins neighbours with the same plain answer.
class Ranges {
 public:
  void put(std::uint32_t first, Answer answer) {
    if (!ranges_.empty() && ranges_.back().first == first) ranges_.pop_back();
    const bool same = !ranges_.empty() && answer.checks.empty() && ranges_.back().answer == answer;
    if (!same) ranges_.push_back({.first = first, .answer = std::move(answer)});
  }
  std::vector<Range> take() { return std::move(ranges_); }

 private:
  std::vector<Range> ranges_{};
};

// The answers to the numbers of one Architecture, from `first` on.
void put_calls(Ranges& ranges, std::uint32_t first, const Architecture& architecture,
               const Plan& plan) {
  const Answer by_default{.otherwise = plan.default_action};
  const Answer no_such_call{.otherwise = SCMP_ACT_ERRNO(ENOSYS)};
  const bool hides = hides_newer_calls(plan) && architecture.newest() != 0;
  // On s390 a call that the kernel does not know arrives as number 0, setup(2), which nothing uses.
  const bool hides_zero = hides && architecture.multiplexes_unknown();
  ranges.put(first, hides_zero ? no_such_call : by_default);
  if (hides_zero) ranges.put(first + 1, by_default);
  for (const auto& [number, checks] : architecture.calls()) {
    ranges.put(number, answer_of(checks, plan.default_action, architecture.is_wide()));
    ranges.put(number + 1, by_default);
  }
  if (hides) ranges.put(architecture.newest() + 1, no_such_call);
}

Architecture resolve_names(std::uint32_t token, const Plan& plan) {
  Architecture architecture(token);
  for (const Rule& rule : plan.rules) {
    const bool is_default = rule.action == plan.default_action;
    for (const std::string& name : rule.names) {
      if (is_default) {
        architecture.mention(name);
      } else {
        architecture.add(name, {.arguments = rule.arguments, .action = rule.action});
      }
    }
  }
  return architecture;
}

Table table_of(std::uint32_t token, const Plan& plan, bool has_x32) {
  Ranges ranges;
  put_calls(ranges, 0, resolve_names(token, plan), plan);
  if (token == SCMP_ARCH_X86_64) {
    if (has_x32) {
      put_calls(ranges, kX32Bit, resolve_names(SCMP_ARCH_X32, plan), plan);
    } else {
      ranges.put(kX32Bit, {.otherwise = SCMP_ACT_KILL_THREAD});
      ranges.put(kSkipped, {.otherwise = plan.default_action});
    }
  }
  return {.audit_architecture = token,
          .little_endian = (token & __AUDIT_ARCH_LE) != 0,
          .ranges = ranges.take()};
}

}  // namespace

bool hides_newer_calls(const Plan& plan) noexcept {
  switch (plan.default_action & SECCOMP_RET_ACTION_FULL) {
    case SCMP_ACT_ALLOW:
    case SCMP_ACT_LOG:
    case SECCOMP_RET_TRACE:
      return false;
    default:
      return true;
  }
}

std::vector<Table> resolve(const Plan& plan) {
  // The machine's own architecture always counts, named or not, as with libseccomp: without it not
  // even execve would be possible.
  std::vector<std::uint32_t> tokens = {seccomp_arch_native()};
  bool has_x32 = false;
  for (const std::uint32_t token : plan.architectures) {
    if (token == SCMP_ARCH_X32) has_x32 = true;
    const std::uint32_t table = token == SCMP_ARCH_X32 ? SCMP_ARCH_X86_64 : token;
    if (std::find(tokens.begin(), tokens.end(), table) == tokens.end()) tokens.push_back(table);
  }
  std::vector<Table> tables;
  for (const std::uint32_t token : tokens) tables.push_back(table_of(token, plan, has_x32));
  return tables;
}

}  // namespace tare::seccomp
