#include "cli/arguments.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "tare/error.hpp"

namespace tare::cli {
namespace {

constexpr Flag kHelp{.name = "help", .letter = 'h'};
constexpr unsigned kHighestNumber = std::numeric_limits<int>::max();

Error usage(std::string text) {
  return Error(ErrorKind::usage, std::move(text));
}

// In runc's words, which have one dash however many there were.
Error not_defined(std::string_view name) {
  return usage(fmt::format("flag provided but not defined: -{}", name));
}

// A wrong value is found here, before anything is done, and not where it is used.
void check_value(const Flag& flag, std::string_view value) {
  const bool good = flag.takes == Takes::nothing  ? parse_boolean(value).has_value()
                    : flag.takes == Takes::number ? parse_number(value, kHighestNumber).has_value()
                                                  : true;
  if (good) return;
  throw usage(fmt::format("invalid value \"{}\" for flag -{}: expected {}", value, flag.name,
                          flag.takes == Takes::nothing ? "true or false" : "a number"));
}

}  // namespace

std::optional<bool> parse_boolean(std::string_view word) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (word == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

std::optional<unsigned> parse_number(std::string_view word, unsigned high) {
  unsigned number = 0;
  const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (fault != std::errc() || end != word.data() + word.size() || number > high)
    return std::nullopt;
  return number;
}

Arguments::Arguments(std::span<const Flag> table, Order order, Words words) : table_(table) {
  std::size_t at = 0;
  while (at < words.size() && !asks_help_) {
    const std::string_view word = words[at];
    if (word == "--") {
      ++at;
      break;
    }
    // A dash alone means standard input wherever it means anything.
    if (word.size() > 1 && word[0] == '-') {
      at = read_flag(words, at);
      continue;
    }
    if (order == Order::before_first_word) break;
    words_.push_back(word);
    ++at;
  }
  words_.insert(words_.end(), words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
}

// A word that begins with a dash and names one flag: by its long name with one dash or two, as Go's
// flag package takes it (go-runc calls restore with -no-subreaper), or by its letter.
std::size_t Arguments::read_flag(Words words, std::size_t at) {
  std::string_view name = words[at];
  const bool two_dashes = name[1] == '-';
  name.remove_prefix(two_dashes ? 2 : 1);
  std::optional<std::string_view> attached;
  if (const std::size_t equals = name.find('='); equals != std::string_view::npos) {
    attached = name.substr(equals + 1);
    name = name.substr(0, equals);
  }
  const Flag* flag = find_flag(name);
  if (flag == nullptr && name.size() == 1) flag = find_letter(name[0]);
  if (flag != nullptr) return read_value(*flag, attached, words, at + 1);
  if (two_dashes) throw not_defined(name);
  return read_letters(words, at);
}

// A word of several letters behind one dash: flags that take nothing, and at the end perhaps one
// that takes the rest of the word or the next word.
std::size_t Arguments::read_letters(Words words, std::size_t at) {
  const std::string_view letters = words[at].substr(1);
  for (std::size_t i = 0; i < letters.size(); ++i) {
    const Flag* flag = find_letter(letters[i]);
    if (flag == nullptr) throw not_defined(letters.substr(0, letters.find('=')));
    const std::string_view rest = letters.substr(i + 1);
    if (flag->takes == Takes::nothing && (rest.empty() || rest[0] != '=')) {
      read_value(*flag, std::nullopt, words, at + 1);
      continue;
    }
    if (rest.empty()) return read_value(*flag, std::nullopt, words, at + 1);
    return read_value(*flag, rest[0] == '=' ? rest.substr(1) : rest, words, at + 1);
  }
  return at + 1;
}

std::size_t Arguments::read_value(const Flag& flag, std::optional<std::string_view> attached,
                                  Words words, std::size_t at) {
  if (flag.name == kHelp.name) {
    asks_help_ = true;
    return at;
  }
  if (!attached && flag.takes == Takes::nothing) attached = "true";
  if (!attached) {
    // podman looks for these words to learn what a runtime can do.
    if (at == words.size()) throw usage(fmt::format("flag needs an argument: --{}", flag.name));
    attached = words[at++];
  }
  check_value(flag, *attached);
  given_.push_back({.flag = &flag, .value = *attached});
  return at;
}

const Flag* Arguments::find_flag(std::string_view name) const {
  if (name == kHelp.name) return &kHelp;
  const auto found = std::find_if(table_.begin(), table_.end(),
                                  [&](const Flag& flag) { return flag.name == name; });
  return found == table_.end() ? nullptr : &*found;
}

const Flag* Arguments::find_letter(char letter) const {
  if (letter == kHelp.letter) return &kHelp;
  const auto found = std::find_if(table_.begin(), table_.end(),
                                  [&](const Flag& flag) { return flag.letter == letter; });
  return letter == '\0' || found == table_.end() ? nullptr : &*found;
}

std::optional<std::string_view> Arguments::find(std::string_view name) const {
  const auto found = std::find_if(given_.rbegin(), given_.rend(),
                                  [&](const Given& given) { return given.flag->name == name; });
  if (found == given_.rend()) return std::nullopt;
  return found->value;
}

bool Arguments::is_on(std::string_view name) const {
  return parse_boolean(find(name).value_or("false")).value_or(false);
}

std::string Arguments::text(std::string_view name) const {
  return std::string(find(name).value_or(std::string_view()));
}

std::vector<std::string> Arguments::texts(std::string_view name) const {
  std::vector<std::string> values;
  for (const Given& given : given_) {
    if (given.flag->name == name) values.emplace_back(given.value);
  }
  return values;
}

int Arguments::number(std::string_view name) const {
  return static_cast<int>(parse_number(find(name).value_or("0"), kHighestNumber).value_or(0));
}

}  // namespace tare::cli
