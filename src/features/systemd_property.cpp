#include "features/systemd_property.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "tare/error.hpp"

namespace tare::systemd_property {
namespace {

using sys::BusValue;

constexpr std::string_view kPrefix = "org.systemd.property.";
constexpr std::string_view kSeconds = "Sec";
constexpr std::string_view kMicroseconds = "USec";
constexpr std::size_t kShortestName = 3;
constexpr int kDeepest = 32;
constexpr double kMicrosecondsPerSecond = 1e6;

struct TypeWord {
  std::string_view word;
  char letter;
};
// GVariant Format Strings, "Type keywords"; a handle is an index of descriptors, which are none
// here.
constexpr TypeWord kTypeWords[] = {
    {"boolean", 'b'}, {"byte", 'y'},       {"int16", 'n'},  {"uint16", 'q'},
    {"int32", 'i'},   {"uint32", 'u'},     {"int64", 'x'},  {"uint64", 't'},
    {"double", 'd'},  {"objectpath", 'o'}, {"string", 's'}, {"signature", 'g'},
};

struct Range {
  char letter;
  std::int64_t low;
  std::uint64_t high;
};
constexpr Range kRanges[] = {
    {'y', 0, std::numeric_limits<std::uint8_t>::max()},
    {'n', std::numeric_limits<std::int16_t>::min(), std::numeric_limits<std::int16_t>::max()},
    {'q', 0, std::numeric_limits<std::uint16_t>::max()},
    {'i', std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()},
    {'u', 0, std::numeric_limits<std::uint32_t>::max()},
    {'x', std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()},
    {'t', 0, std::numeric_limits<std::uint64_t>::max()},
};

const Range* range_of(char letter) {
  const auto* found = std::ranges::find(kRanges, letter, &Range::letter);
  return found == std::end(kRanges) ? nullptr : found;
}

bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

// The length of the complete type that a signature starts with, or 0.
std::size_t type_length(std::string_view signature, int depth = 0) {
  if (signature.empty() || depth > kDeepest) return 0;
  const char first = signature.front();
  if (first == 'a') {
    const std::size_t inner = type_length(signature.substr(1), depth + 1);
    return inner == 0 ? 0 : inner + 1;
  }
  if (first != '(') return std::string_view("bynqiuxtdsogv").find(first) != signature.npos ? 1 : 0;
  std::size_t at = 1;
  while (at < signature.size() && signature[at] != ')') {
    const std::size_t inner = type_length(signature.substr(at), depth + 1);
    if (inner == 0) return 0;
    at += inner;
  }
  return at > 1 && at < signature.size() ? at + 1 : 0;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  BusValue whole() {
    BusValue value = parse({}, 0);
    skip_space();
    if (at_ != text_.size()) fail("something follows the value");
    return value;
  }

 private:
  // `type` is what must come, or empty where the text itself says.
  BusValue parse(std::string_view type, int depth) {
    if (depth > kDeepest) fail("too deep");
    skip_space();
    if (at_ == text_.size()) fail("a value is missing");
    switch (text_[at_]) {
      case '@':
        return parse_annotated(type, depth);
      case '[':
        return parse_array(type, depth);
      case '(':
        return parse_structure(type, depth);
      case '<':
        return parse_variant(type, depth);
      case '\'':
      case '"':
        return parse_text(type);
      default:
        return is_letter(text_[at_]) ? parse_word(type, depth) : parse_number(type);
    }
  }

  BusValue parse_annotated(std::string_view type, int depth) {
    ++at_;
    const std::size_t length = type_length(text_.substr(at_));
    if (length == 0) fail("@ wants a type of D-Bus");
    const std::string_view own = text_.substr(at_, length);
    at_ += length;
    return parse(agree(type, own), depth + 1);
  }

  BusValue parse_array(std::string_view type, int depth) {
    if (!type.empty() && type.front() != 'a') fail("an array where another type is wanted");
    std::string element(type.empty() ? type : type.substr(1));
    std::vector<BusValue> items;
    parse_list(']', [&] {
      items.push_back(parse(element, depth + 1));
      // The first one says for all, where nobody else has.
      element = items.back().signature;
    });
    if (element.empty()) fail("an empty array wants its type, as in \"@as []\"");
    return BusValue::array(element, std::move(items));
  }

  BusValue parse_structure(std::string_view type, int depth) {
    if (!type.empty() && type.front() != '(') fail("a structure where another type is wanted");
    std::string_view rest = type.empty() ? type : type.substr(1, type.size() - 2);
    std::vector<BusValue> members;
    parse_list(')', [&] {
      if (!type.empty() && rest.empty()) fail("too many members in a structure");
      const std::string_view own = rest.substr(0, type_length(rest));
      rest.remove_prefix(own.size());
      members.push_back(parse(own, depth + 1));
    });
    if (members.empty() || !rest.empty()) fail("members of a structure are missing");
    return BusValue::structure(std::move(members));
  }

  BusValue parse_variant(std::string_view type, int depth) {
    agree(type, "v");
    ++at_;
    BusValue inner = parse({}, depth + 1);
    skip_space();
    if (at_ == text_.size() || text_[at_] != '>') fail("> is missing");
    ++at_;
    return BusValue::variant(std::move(inner));
  }

  BusValue parse_text(std::string_view type) {
    if (!type.empty() && std::string_view("sog").find(type) == type.npos) {
      fail("a text where another type is wanted");
    }
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      if (text_[at_] == '\0') fail("a NUL in a text");
      out += text_[at_++];
    }
    if (at_ == text_.size()) fail("a quote is missing");
    ++at_;
    return {type.empty() ? "s" : std::string(type), std::move(out)};
  }

  BusValue parse_word(std::string_view type, int depth) {
    const std::size_t start = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
    const std::string_view word = text_.substr(start, at_ - start);
    if (word == "true" || word == "false") {
      agree(type, "b");
      return BusValue::boolean(word == "true");
    }
    const auto* known = std::ranges::find(kTypeWords, word, &TypeWord::word);
    if (known == std::end(kTypeWords)) fail(fmt::format("\"{}\" is no value", word));
    return parse(agree(type, std::string_view(&known->letter, 1)), depth + 1);
  }

  BusValue parse_number(std::string_view type) {
    const std::size_t start = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]) ||
                                  std::string_view("+-.").find(text_[at_]) != text_.npos)) {
      ++at_;
    }
    const std::string_view number = text_.substr(start, at_ - start);
    if (number.empty()) fail(fmt::format("unexpected '{}'", text_[at_]));
    const bool real = type == "d" || (type.empty() && is_real(number));
    if (real) return {"d", real_of(number)};
    const Range* range = range_of(type.empty() ? 'i' : type.size() == 1 ? type.front() : '\0');
    if (range == nullptr) fail("a number where another type is wanted");
    return {std::string(1, range->letter), bits_of(number, *range)};
  }

  static bool is_real(std::string_view number) {
    return !number.starts_with("0x") && number.find_first_of(".eE") != number.npos;
  }

  double real_of(std::string_view number) {
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc{} || end != number.data() + number.size()) {
      fail(fmt::format("\"{}\" is no number", number));
    }
    return value;
  }

  std::uint64_t bits_of(std::string_view number, const Range& range) {
    const bool negative = number.starts_with('-');
    std::string_view digits = number.substr(negative || number.starts_with('+') ? 1 : 0);
    int base = 10;
    if (digits.starts_with("0x") || digits.starts_with("0X")) {
      base = 16;
      digits.remove_prefix(2);
    } else if (digits.size() > 1 && digits.front() == '0') {
      base = 8;
    }
    std::uint64_t value = 0;
    const char* const last = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), last, value, base);
    if (digits.empty() || end != last || error == std::errc::invalid_argument) {
      fail(fmt::format("\"{}\" is no number", number));
    }
    // The magnitude of the lowest one, which has no positive counterpart.
    const std::uint64_t lowest = ~static_cast<std::uint64_t>(range.low) + 1;
    if (error != std::errc{} || value > (negative ? lowest : range.high)) {
      fail(fmt::format("{} is out of range for its type", number));
    }
    return negative ? ~value + 1 : value;
  }

  template <typename Item>
  void parse_list(char end, Item item) {
    ++at_;
    for (skip_space(); at_ < text_.size() && text_[at_] != end; skip_space()) {
      item();
      skip_space();
      if (at_ < text_.size() && text_[at_] == ',') {
        ++at_;
      } else if (at_ < text_.size() && text_[at_] != end) {
        fail("a comma is missing");
      }
    }
    if (at_ == text_.size()) fail(fmt::format("{} is missing", end));
    ++at_;
  }

  std::string_view agree(std::string_view wanted, std::string_view own) {
    if (!wanted.empty() && wanted != own) {
      fail(fmt::format("type {} where {} is wanted", own, wanted));
    }
    return own;
  }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\n").find(text_[at_]) != text_.npos) ++at_;
  }

  [[noreturn]] void fail(std::string_view why) const {
    throw Error(ErrorKind::spec, fmt::format("{} (at character {})", why, at_ + 1),
                "values are in GVariant's text format: uint64 5, 'text', true, ['a', 'b']");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// Callers write TimeoutStopSec as in a unit file; on the bus it is TimeoutStopUSec.
BusValue microseconds_of(const BusValue& seconds) {
  const char letter = seconds.signature.front();
  double value = 0;
  if (const auto* real = std::get_if<double>(&seconds.content)) {
    value = *real;
  } else if (range_of(letter) != nullptr) {
    const auto bits = std::get<std::uint64_t>(seconds.content);
    value = letter == 't' ? static_cast<double>(bits)
                          : static_cast<double>(static_cast<std::int64_t>(bits));
  } else {
    throw Error(ErrorKind::spec, "not a number");
  }
  value *= kMicrosecondsPerSecond;
  constexpr auto kMost = static_cast<double>(std::numeric_limits<std::int64_t>::max());
  if (!(value >= 0) || value >= kMost) throw Error(ErrorKind::spec, "not a length of time");
  return BusValue::uint64(static_cast<std::uint64_t>(value));
}

void check_name(std::string_view name) {
  if (name.size() < kShortestName) throw Error(ErrorKind::spec, "the property's name is too short");
  if (!std::ranges::all_of(name, is_letter)) {
    throw Error(ErrorKind::spec, "the property's name may have letters only");
  }
}

bool is_in_seconds(std::string_view name) {
  if (!name.ends_with(kSeconds)) return false;
  const std::string_view stem = name.substr(0, name.size() - kSeconds.size());
  return !stem.empty() && stem.back() >= 'a' && stem.back() <= 'z';
}

Property property_of(std::string_view name, std::string_view text) {
  check_name(name);
  Property property{.name = std::string(name), .value = parse_value(text)};
  if (is_in_seconds(name)) {
    property.name.replace(name.size() - kSeconds.size(), kSeconds.size(), kMicroseconds);
    property.value = microseconds_of(property.value);
  }
  return property;
}

}  // namespace

sys::BusValue parse_value(std::string_view text) {
  return Parser(text).whole();
}

std::vector<Property> read(const std::map<std::string, std::string>& annotations) {
  std::vector<Property> properties;
  for (const auto& annotation : annotations) {
    const std::string_view name = annotation.first;
    if (!name.starts_with(kPrefix)) continue;
    asked_by([&] { return fmt::format("/annotations/{}", name); },
             [&] {
               in_context([&] { return fmt::format("annotation {}={}", name, annotation.second); },
                          [&] {
                            properties.push_back(
                                property_of(name.substr(kPrefix.size()), annotation.second));
                          });
             });
  }
  return properties;
}

}  // namespace tare::systemd_property
