/// From tables to classic BPF. Syscall numbers are searched by bisection over ranges rather than
/// one by one, which makes a program a fifth as long as libseccomp's; the kernel's check,
/// translation and JIT of it, paid at every load, take a third of the time.
#include <fmt/core.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>

#include "features/seccomp_table.hpp"

namespace tare::seccomp {
namespace {

using Program = std::vector<sock_filter>;

// Jumps of a condition reach 255 instructions; longer ones take a BPF_JA.
constexpr std::size_t kFarthest = 255;
// Placeholders in a comparison, replaced by distances when the whole rule is known.
constexpr std::uint8_t kHolds = 254;
constexpr std::uint8_t kFails = 255;

constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr std::uint16_t kMask = BPF_ALU | BPF_AND | BPF_K;
constexpr std::uint16_t kIfEqual = BPF_JMP | BPF_JEQ | BPF_K;
constexpr std::uint16_t kIfAbove = BPF_JMP | BPF_JGT | BPF_K;
constexpr std::uint16_t kIfAtLeast = BPF_JMP | BPF_JGE | BPF_K;
constexpr std::uint16_t kJump = BPF_JMP | BPF_JA;
constexpr std::uint16_t kReturn = BPF_RET | BPF_K;

constexpr std::uint32_t low(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32U);
}

sock_filter plain(std::uint16_t code, std::uint32_t value) {
  return {code, 0, 0, value};
}

sock_filter branch(std::uint16_t code, std::uint32_t value, std::size_t if_true,
                   std::size_t if_false) {
  return {code, static_cast<std::uint8_t>(if_true), static_cast<std::uint8_t>(if_false), value};
}

// Where the halves of an argument lie in struct seccomp_data.
struct Halves {
  std::uint32_t low_offset;
  std::uint32_t high_offset;
};

Halves halves_of(unsigned index, bool little_endian) {
  const auto base =
      static_cast<std::uint32_t>(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
  const std::uint32_t second = base + static_cast<std::uint32_t>(sizeof(std::uint32_t));
  return little_endian ? Halves{base, second} : Halves{second, base};
}

// Emits the checks of one answer.
class Checks {
 public:
  Checks(Program& out, bool little_endian, bool wide)
      : out_(out), little_endian_(little_endian), wide_(wide) {}

  void emit(const Answer& answer) {
    for (auto check = answer.checks.begin(); check != answer.checks.end();) {
      const auto end = end_of_alternatives(check, answer.checks.end());
      if (end - check == 1) {
        emit_check(*check);
      } else {
        emit_alternatives(check, end);
      }
      check = end;
    }
    out_.push_back(plain(kReturn, answer.otherwise));
  }

 private:
  using Iterator = std::vector<Check>::const_iterator;

  // Checks that say the same of one argument but for the value's low half: each then costs one
  // instruction, as with libseccomp, rather than five.
  static Iterator end_of_alternatives(Iterator begin, Iterator end) {
    constexpr std::ptrdiff_t kMost = 200;  // within the reach of one branch
    const auto is_alternative = [&](const Check& check) {
      return check.action == begin->action && check.arguments.size() == 1 &&
             check.arguments[0].comparison == SCMP_CMP_EQ &&
             check.arguments[0].index == begin->arguments[0].index &&
             high(check.arguments[0].value) == high(begin->arguments[0].value);
    };
    Iterator at = begin + 1;
    if (begin->arguments.empty() || !is_alternative(*begin)) return at;
    while (at != end && at - begin < kMost && is_alternative(*at)) ++at;
    return at;
  }

  void emit_alternatives(Iterator begin, Iterator end) {
    const std::size_t start = out_.size();
    const Argument& first = begin->arguments[0];
    const Halves halves = halves_of(first.index, little_endian_);
    if (wide_) {
      out_.push_back(plain(kLoad, halves.high_offset));
      out_.push_back(branch(kIfEqual, high(first.value), 0, kFails));
    }
    out_.push_back(plain(kLoad, halves.low_offset));
    for (auto check = begin; check != end; ++check) {
      const std::uint32_t value = low(check->arguments[0].value);
      out_.push_back(branch(kIfEqual, value, kHolds, check + 1 == end ? kFails : 0));
    }
    settle(start, kHolds, out_.size());
    out_.push_back(plain(kReturn, begin->action));
    settle(start, kFails, out_.size());
  }

  void emit_check(const Check& check) {
    const std::size_t start = out_.size();
    for (const Argument& argument : check.arguments) {
      const std::size_t from = out_.size();
      emit_comparison(argument);
      settle(from, kHolds, out_.size());
    }
    out_.push_back(plain(kReturn, check.action));
    settle(start, kFails, out_.size());
  }

  // Puts the distance to `target` where instructions from `from` on have `placeholder`. An argument
  // has at most five instructions and a check six arguments, and alternatives are bounded, so no
  // distance comes near a placeholder.
  void settle(std::size_t from, std::uint8_t placeholder, std::size_t target) {
    for (std::size_t at = from; at < out_.size(); ++at) {
      if (BPF_CLASS(out_[at].code) != BPF_JMP) continue;
      const auto distance = static_cast<std::uint8_t>(target - at - 1);
      if (out_[at].jt == placeholder) out_[at].jt = distance;
      if (out_[at].jf == placeholder) out_[at].jf = distance;
    }
  }

  void emit_comparison(const Argument& argument) {
    switch (argument.comparison) {
      case SCMP_CMP_EQ:
        return emit_equal(argument, kHolds, kFails);
      case SCMP_CMP_NE:
        return emit_equal(argument, kFails, kHolds);
      case SCMP_CMP_GT:
        return emit_order(argument, kIfAbove, kHolds, kFails);
      case SCMP_CMP_GE:
        return emit_order(argument, kIfAtLeast, kHolds, kFails);
      case SCMP_CMP_LE:
        return emit_order(argument, kIfAbove, kFails, kHolds);
      case SCMP_CMP_LT:
        return emit_order(argument, kIfAtLeast, kFails, kHolds);
      case SCMP_CMP_MASKED_EQ:
        return emit_masked(argument);
      default:
        throw Error(ErrorKind::internal, fmt::format("seccomp comparison {}", argument.comparison));
    }
  }

  void emit_equal(const Argument& argument, std::uint8_t equal, std::uint8_t different) {
    const Halves halves = halves_of(argument.index, little_endian_);
    if (wide_) {
      out_.push_back(plain(kLoad, halves.high_offset));
      out_.push_back(branch(kIfEqual, high(argument.value), 0, different));
    }
    out_.push_back(plain(kLoad, halves.low_offset));
    out_.push_back(branch(kIfEqual, low(argument.value), equal, different));
  }

  // Above, or at least, by `code`; the high halves decide unless they are equal.
  void emit_order(const Argument& argument, std::uint16_t code, std::uint8_t yes, std::uint8_t no) {
    const Halves halves = halves_of(argument.index, little_endian_);
    if (wide_) {
      out_.push_back(plain(kLoad, halves.high_offset));
      out_.push_back(branch(kIfAbove, high(argument.value), yes, 0));
      out_.push_back(branch(kIfEqual, high(argument.value), 0, no));
    }
    out_.push_back(plain(kLoad, halves.low_offset));
    out_.push_back(branch(code, low(argument.value), yes, no));
  }

  // (argument & value) == value_two; bits of value_two outside the mask are ignored, as by
  // libseccomp.
  void emit_masked(const Argument& argument) {
    const Halves halves = halves_of(argument.index, little_endian_);
    const std::uint64_t wanted = argument.value_two & argument.value;
    if (wide_ && high(argument.value) != 0) {
      out_.push_back(plain(kLoad, halves.high_offset));
      out_.push_back(plain(kMask, high(argument.value)));
      out_.push_back(branch(kIfEqual, high(wanted), 0, kFails));
    }
    out_.push_back(plain(kLoad, halves.low_offset));
    out_.push_back(plain(kMask, low(argument.value)));
    out_.push_back(branch(kIfEqual, low(wanted), kHolds, kFails));
  }

  Program& out_;
  bool little_endian_;
  bool wide_;
};

// Emits the search for a number among the ranges of one table. The last instruction is made first:
// every jump is forward, so its target is then known, and returns already made serve again.
class Search {
 public:
  explicit Search(const Table& table) : table_(table) {
    std::size_t at = 0;
    while (at < table.ranges.size()) {
      const std::size_t end = end_of_stretch(at);
      stretches_.push_back({.begin = at, .end = end});
      at = end;
    }
    weigh();
  }

  Program emit() {
    reach(emit_between(0, stretches_.size()));
    out_.push_back(plain(kLoad, offsetof(seccomp_data, nr)));
    std::reverse(out_.begin(), out_.end());
    return std::move(out_);
  }

 private:
  // Ranges that are tried one after the other: one alone, or an answer with a few numbers that are
  // exceptions to it, each of which costs one test for equality rather than two borders.
  struct Stretch {
    std::size_t begin;
    std::size_t end;
    std::size_t weight_before = 0;
  };

  // Where a branch leads: to what stands at `position`, or to any return of `action`.
  struct Target {
    std::optional<std::size_t> position{};
    std::uint32_t action = 0;
  };

  std::uint32_t first_of(std::size_t stretch) const {
    return table_.ranges[stretches_[stretch].begin].first;
  }

  std::size_t end_of_stretch(std::size_t begin) const {
    constexpr std::size_t kLongest = 7;  // three exceptions
    const std::vector<Range>& ranges = table_.ranges;
    const Answer& base = ranges[begin].answer;
    std::size_t end = begin + 1;
    while (end + 1 < ranges.size() && end - begin < kLongest &&
           ranges[end + 1].first - ranges[end].first == 1 && ranges[end + 1].answer == base) {
      end += 2;
    }
    return end;
  }

  // Numbers are looked up one by one when a filter is loaded (kernel/seccomp.c,
  // seccomp_cache_prepare), so wide stretches should be found first; the endless ones are cut down.
  void weigh() {
    constexpr std::uint32_t kWidest = 64;
    for (std::size_t at = 1; at < stretches_.size(); ++at) {
      stretches_[at].weight_before =
          stretches_[at - 1].weight_before + std::min(kWidest, first_of(at) - first_of(at - 1));
    }
  }

  // The border in (from, to) that halves the weight best.
  std::size_t border(std::size_t from, std::size_t to) const {
    const auto begin = stretches_.begin() + static_cast<std::ptrdiff_t>(from);
    const auto last = stretches_.begin() + static_cast<std::ptrdiff_t>(to) - 1;
    const std::size_t half = (begin->weight_before + last->weight_before) / 2;
    const auto found = std::lower_bound(
        begin + 1, last, half,
        [](const Stretch& stretch, std::size_t weight) { return stretch.weight_before < weight; });
    return static_cast<std::size_t>(found - stretches_.begin());
  }

  Target emit_between(std::size_t from, std::size_t to) {
    if (to - from == 1) return emit_stretch(stretches_[from]);
    const std::size_t split = border(from, to);
    const Target above = emit_between(split, to);
    const Target below = emit_between(from, split);
    return emit_branch(kIfAtLeast, first_of(split), above, below);
  }

  Target emit_stretch(const Stretch& stretch) {
    Target next = emit_answer(table_.ranges[stretch.begin].answer);
    for (std::size_t at = stretch.end; at > stretch.begin + 1; at -= 2) {
      const Range& exception = table_.ranges[at - 2];
      next = emit_branch(kIfEqual, exception.first, emit_answer(exception.answer), next);
    }
    return next;
  }

  Target emit_branch(std::uint16_t code, std::uint32_t value, const Target& yes, const Target& no) {
    const std::size_t if_true = reach(yes);
    const std::size_t if_false = reach(no);
    const std::size_t here = out_.size();
    out_.push_back(branch(code, value, here - if_true - 1, here - if_false - 1));
    return {.position = here};
  }

  Target emit_answer(const Answer& answer) {
    if (answer.checks.empty()) return {.action = answer.otherwise};
    Program code;
    Checks(code, table_.little_endian, answer.wide).emit(answer);
    returns_[answer.otherwise] = out_.size();
    out_.insert(out_.end(), code.rbegin(), code.rend());
    return {.position = out_.size() - 1};
  }

  // A position that leads to `target`, near enough for a branch that comes next or after one more.
  std::size_t reach(const Target& target) {
    const auto is_near = [&](std::size_t position) { return out_.size() - position <= kFarthest; };
    if (target.position) {
      if (is_near(*target.position)) return *target.position;
      const std::size_t distance = out_.size() - *target.position - 1;
      out_.push_back(plain(kJump, static_cast<std::uint32_t>(distance)));
      return out_.size() - 1;
    }
    const auto made = returns_.find(target.action);
    if (made != returns_.end() && is_near(made->second)) return made->second;
    returns_[target.action] = out_.size();
    out_.push_back(plain(kReturn, target.action));
    return out_.size() - 1;
  }

  const Table& table_;
  std::vector<Stretch> stretches_{};
  std::map<std::uint32_t, std::size_t> returns_{};
  Program out_{};
};

}  // namespace

std::string assemble(const std::vector<Table>& tables) {
  Program program = {plain(kLoad, offsetof(seccomp_data, arch))};
  for (const Table& table : tables) {
    const Program section = Search(table).emit();
    program.push_back(branch(kIfEqual, table.audit_architecture, 1, 0));
    program.push_back(plain(kJump, static_cast<std::uint32_t>(section.size())));
    program.insert(program.end(), section.begin(), section.end());
  }
  program.push_back(plain(kReturn, SCMP_ACT_KILL_THREAD));
  if (program.size() > BPF_MAXINSNS) {
    throw Error(
        ErrorKind::unsupported,
        fmt::format("the seccomp profile takes {} BPF instructions; the kernel's limit is {}",
                    program.size(), BPF_MAXINSNS),
        "name fewer architectures, or check fewer arguments");
  }
  return {reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter)};
}

}  // namespace tare::seccomp
