/// The words of a command line, read after a table of flags. Pure: nothing but the words is looked
/// at, and nothing is remembered. getopt_long(3) would do for less code, but it obeys
/// POSIXLY_CORRECT of whatever environment an engine hands us, takes abbreviations, and keeps its
/// place in globals.
///
/// As runc reads them: `--flag value`, `--flag=value`, the same with one dash, `-f value`,
/// `-fvalue`, several letters in one word, `--` as the end of flags. The last of several values
/// counts.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tare::cli {

/// What follows a flag.
enum class Takes {
  nothing,  ///< on or off; `=true` and `=false` are understood
  text,
  texts,   ///< may be given more than once; all values count
  number,  ///< 0 to 2^31 - 1, in decimal
};

/// One row of a command's table.
struct Flag {
  std::string_view name;  ///< the long name, without dashes
  char letter = '\0';     ///< the short name, or none
  Takes takes = Takes::nothing;
  std::string_view value{};  ///< what --help calls the value: "PATH"
  std::string_view help{};   ///< one line; empty for a flag that is accepted and not shown
};

/// Where flags may stand.
enum class Order {
  anywhere,           ///< before and after the words
  before_first_word,  ///< what follows the first word belongs to it: exec, ps, kill
};

/// A command line that was read. Borrows from the words and the table that it was read from.
class Arguments {
 public:
  /// Throws Error(usage) in the words of runc for an unknown flag, a missing value and a value of
  /// the wrong kind.
  Arguments(std::span<const Flag> table, Order order, std::span<const std::string_view> words);

  /// Whether --help or -h was met; nothing behind it has been read.
  bool asks_help() const noexcept { return asks_help_; }
  /// What is no flag and no value of one.
  std::span<const std::string_view> words() const noexcept { return words_; }

  /// Whether a flag that takes nothing is on.
  bool is_on(std::string_view name) const;
  /// The value of a flag; nullopt when it was not given.
  std::optional<std::string_view> find(std::string_view name) const;
  /// The value of a flag, empty when it was not given.
  std::string text(std::string_view name) const;
  /// Every value of a flag, in order.
  std::vector<std::string> texts(std::string_view name) const;
  /// The value of a flag that takes a number, 0 when it was not given.
  int number(std::string_view name) const;

 private:
  struct Given {
    const Flag* flag;
    std::string_view value;
  };
  using Words = std::span<const std::string_view>;

  // Each reads what begins with the flag at `words[at]` and gives the index behind it.
  std::size_t read_flag(Words words, std::size_t at);
  std::size_t read_letters(Words words, std::size_t at);
  std::size_t read_value(const Flag& flag, std::optional<std::string_view> attached, Words words,
                         std::size_t at);
  const Flag* find_flag(std::string_view name) const;
  const Flag* find_letter(char letter) const;

  std::span<const Flag> table_;
  std::vector<Given> given_{};
  std::vector<std::string_view> words_{};
  bool asks_help_ = false;
};

/// "true", "1", "T", "false", "0" and what else Go's strconv.ParseBool takes; nullopt for other
/// words.
std::optional<bool> parse_boolean(std::string_view word);

/// A decimal number from 0 to `high`; nullopt for anything else.
std::optional<unsigned> parse_number(std::string_view word, unsigned high);

}  // namespace tare::cli
