// events: statistics of a container every so often, and its kills by the OOM killer.
#include "cli/events.hpp"

#include <fmt/core.h>

#include <array>

#include "cli/command.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 2> kFlags{{
    {.name = "interval",
     .takes = Takes::text,
     .value = "TIME",
     .help = "how often to print statistics: 500ms, 1m30s; the default is 5s"},
    {.name = "stats", .help = "print the statistics once, and exit"},
}};

constexpr std::int64_t kBillion = 1'000'000'000;

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};

// A micro may be the micro sign or the Greek letter.
constexpr Unit kUnits[] = {
    {"ns", 1},         {"us", 1'000},        {"\u00b5s", 1'000},    {"\u03bcs", 1'000},
    {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};

bool is_digit(char letter) noexcept {
  return letter >= '0' && letter <= '9';
}

const Unit* take_unit(std::string_view& word) noexcept {
  // A unit ends where the next number begins: "5mss" is none.
  std::size_t length = 0;
  while (length < word.size() && !is_digit(word[length]) && word[length] != '.') ++length;
  const std::string_view name = word.substr(0, length);
  word.remove_prefix(length);
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

// "1.5" is 1 and 500'000'000. What is finer than a billionth is less than 4 us of an hour, and
// nothing of a second.
struct Decimal {
  std::int64_t whole = 0;
  std::int64_t billionths = 0;
};

std::optional<Decimal> take_decimal(std::string_view& word) noexcept {
  Decimal number;
  bool any = false;
  for (; !word.empty() && is_digit(word[0]); word.remove_prefix(1), any = true) {
    if (__builtin_mul_overflow(number.whole, 10, &number.whole) ||
        __builtin_add_overflow(number.whole, word[0] - '0', &number.whole)) {
      return std::nullopt;
    }
  }
  if (!word.empty() && word[0] == '.') {
    word.remove_prefix(1);
    std::int64_t place = 100'000'000;
    for (; !word.empty() && is_digit(word[0]); word.remove_prefix(1), any = true) {
      number.billionths += place * (word[0] - '0');
      place /= 10;
    }
  }
  if (!any) return std::nullopt;
  return number;
}

bool add(std::int64_t& sum, const Decimal& number, const Unit& unit) noexcept {
  std::int64_t part = 0;
  if (__builtin_mul_overflow(number.whole, unit.nanoseconds, &part)) return false;
  if (__builtin_add_overflow(sum, part, &sum)) return false;
  // From the second on, units are whole billions: neither way can overflow.
  const std::int64_t rest = unit.nanoseconds >= kBillion
                                ? number.billionths * (unit.nanoseconds / kBillion)
                                : number.billionths * unit.nanoseconds / kBillion;
  return !__builtin_add_overflow(sum, rest, &sum);
}

std::int64_t interval_of(const Arguments& arguments) {
  const std::optional<std::string_view> word = arguments.find("interval");
  const std::optional<std::int64_t> interval = parse_duration(word.value_or("5s"));
  if (interval) return *interval;
  throw Error(ErrorKind::usage,
              fmt::format("invalid value \"{}\" for flag -interval: parse error", *word),
              "a number with a unit: 500ms, 5s, 1m30s");
}

int run(const Call& call) {
  events({.global = call.global,
          .id = std::string(call.arguments.words()[0]),
          .interval_ns = interval_of(call.arguments),
          .stats_only = call.arguments.is_on("stats")},
         [](const std::string& event) { print(event); });
  return 0;
}

}  // namespace

std::optional<std::int64_t> parse_duration(std::string_view word) {
  const bool negative = word.starts_with('-');
  if (negative || word.starts_with('+')) word.remove_prefix(1);
  if (word == "0") return 0;
  if (word.empty()) return std::nullopt;
  std::int64_t sum = 0;
  while (!word.empty()) {
    const std::optional<Decimal> number = take_decimal(word);
    if (!number) return std::nullopt;
    const Unit* unit = take_unit(word);
    if (unit == nullptr || !add(sum, *number, *unit)) return std::nullopt;
  }
  return negative ? -sum : sum;
}

constinit const Command kEvents{
    .name = "events",
    .summary = "print what a container uses, and when it is out of memory",
    .usage = "<container-id>",
    .details = "Each event is one line of JSON. The command ends with the container.",
    .flags = kFlags,
    .run = run,
};

}  // namespace tare::cli
