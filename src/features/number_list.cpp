#include "features/number_list.hpp"

#include <fmt/core.h>

#include <bit>
#include <charconv>
#include <climits>

namespace tare::number_list {
namespace {

constexpr unsigned kBitsPerWord = sizeof(unsigned long) * CHAR_BIT;

struct Range {
  unsigned first = 0;
  unsigned last = 0;
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// Digits alone: no sign, no space, no other base.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Range> parse_range(std::string_view element, unsigned highest) {
  const std::size_t dash = element.find('-');
  const std::optional<std::uint64_t> first = parse_number(element.substr(0, dash));
  const std::optional<std::uint64_t> last =
      dash == std::string_view::npos ? first : parse_number(element.substr(dash + 1));
  if (!first || !last || *first > *last || *last > highest) return std::nullopt;
  return Range{static_cast<unsigned>(*first), static_cast<unsigned>(*last)};
}

bool holds(const sys::NumberMask& mask, unsigned number) {
  return number / kBitsPerWord < mask.size() &&
         ((mask[number / kBitsPerWord] >> (number % kBitsPerWord)) & 1U) != 0;
}

void add(sys::NumberMask& mask, const Range& range) {
  if (mask.size() <= range.last / kBitsPerWord) mask.resize(range.last / kBitsPerWord + 1);
  for (unsigned number = range.first; number <= range.last; ++number) {
    mask[number / kBitsPerWord] |= 1UL << (number % kBitsPerWord);
  }
}

}  // namespace

sys::NumberMask read(const spec::Reader& text, std::string_view what, unsigned highest) {
  const std::string list = text.string();
  sys::NumberMask mask;
  for (std::string_view rest = list; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const std::string_view element = trimmed(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    if (element.empty()) continue;
    const std::optional<Range> range = parse_range(element, highest);
    if (!range) {
      throw text.error(
          fmt::format("{} \"{}\": \"{}\" is no number or range from 0 to {} such as 3 or 0-3", what,
                      list, element, highest));
    }
    add(mask, *range);
  }
  if (mask.empty() && !list.empty()) {
    throw text.error(fmt::format("{} \"{}\": no members found", what, list));
  }
  return mask;
}

std::string shown(const sys::NumberMask& mask) {
  std::string out;
  const unsigned end = static_cast<unsigned>(mask.size()) * kBitsPerWord;
  for (unsigned number = 0; number < end; ++number) {
    if (!holds(mask, number)) continue;
    const unsigned first = number;
    while (holds(mask, number + 1)) ++number;
    if (!out.empty()) out += ',';
    out += first == number ? fmt::format("{}", first) : fmt::format("{}-{}", first, number);
  }
  return out;
}

unsigned count(const sys::NumberMask& mask) noexcept {
  unsigned total = 0;
  for (const unsigned long word : mask) total += static_cast<unsigned>(std::popcount(word));
  return total;
}

}  // namespace tare::number_list
