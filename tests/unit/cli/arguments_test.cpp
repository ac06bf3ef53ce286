#include "cli/arguments.hpp"

#include <array>
#include <catch2/catch.hpp>

#include "tare/error.hpp"

using tare::Error;
using tare::ErrorKind;
using tare::cli::Arguments;
using tare::cli::Flag;
using tare::cli::Order;
using tare::cli::parse_boolean;
using tare::cli::parse_number;
using tare::cli::Takes;

namespace {

using Words = std::vector<std::string_view>;

constexpr std::array<Flag, 7> kTable{{
    {.name = "bundle", .letter = 'b', .takes = Takes::text},
    {.name = "pid-file", .takes = Takes::text},
    {.name = "pidfd-socket", .takes = Takes::text},
    {.name = "env", .letter = 'e', .takes = Takes::texts},
    {.name = "preserve-fds", .takes = Takes::number},
    {.name = "tty", .letter = 't'},
    {.name = "detach", .letter = 'd'},
}};

// Arguments borrow the words, so those live as long.
struct Read {
  explicit Read(Words given, Order order = Order::anywhere)
      : words(std::move(given)), arguments(kTable, order, words) {}
  Words words;
  Arguments arguments;

  Words rest() const { return {arguments.words().begin(), arguments.words().end()}; }
};

std::string refusal(Words words, Order order = Order::anywhere) {
  try {
    const Read read(std::move(words), order);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.message();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("arguments: every way to write a flag with a value gives that value", "[arguments]") {
  const Words ways = GENERATE(Words{"--bundle", "/b"}, Words{"--bundle=/b"}, Words{"-bundle", "/b"},
                              Words{"-bundle=/b"}, Words{"-b", "/b"}, Words{"-b=/b"}, Words{"-b/b"},
                              Words{"--b", "/b"}, Words{"-tb", "/b"}, Words{"-tdb/b"});
  const Read read(ways);
  CHECK(read.arguments.text("bundle") == "/b");
  CHECK(read.rest().empty());
}

TEST_CASE("arguments: a value may look like a flag, be empty, or hold an equals sign",
          "[arguments]") {
  CHECK(Read({"--bundle", "--tty"}).arguments.text("bundle") == "--tty");
  CHECK_FALSE(Read({"--bundle", "--tty"}).arguments.is_on("tty"));
  CHECK(Read({"--bundle="}).arguments.find("bundle") == "");
  CHECK(Read({"--bundle", ""}).arguments.find("bundle") == "");
  CHECK(Read({"-e", "A=B=C"}).arguments.texts("env") == std::vector<std::string>{"A=B=C"});
  CHECK(Read({"-e=A=B"}).arguments.texts("env") == std::vector<std::string>{"A=B"});
  CHECK(Read({"--env=A=B"}).arguments.texts("env") == std::vector<std::string>{"A=B"});
  CHECK(Read({"-eA=B"}).arguments.texts("env") == std::vector<std::string>{"A=B"});
}

TEST_CASE("arguments: a flag that is not given has no value", "[arguments]") {
  const Read read({});
  CHECK_FALSE(read.arguments.find("bundle").has_value());
  CHECK(read.arguments.text("bundle").empty());
  CHECK(read.arguments.texts("env").empty());
  CHECK(read.arguments.number("preserve-fds") == 0);
  CHECK_FALSE(read.arguments.is_on("tty"));
  CHECK_FALSE(read.arguments.asks_help());
}

TEST_CASE("arguments: of several values the last counts, and all where all are asked for",
          "[arguments]") {
  const Read read({"-b", "1", "--bundle=2", "-e", "A", "--env", "B"});
  CHECK(read.arguments.text("bundle") == "2");
  CHECK(read.arguments.texts("env") == std::vector<std::string>{"A", "B"});
}

TEST_CASE("arguments: a flag without a value can be switched off again", "[arguments]") {
  CHECK(Read({"--tty"}).arguments.is_on("tty"));
  CHECK(Read({"--tty=true"}).arguments.is_on("tty"));
  CHECK(Read({"-t=1"}).arguments.is_on("tty"));
  CHECK_FALSE(Read({"--tty=false"}).arguments.is_on("tty"));
  CHECK_FALSE(Read({"--tty", "--tty=false"}).arguments.is_on("tty"));
  CHECK(Read({"-td"}).arguments.is_on("tty"));
  CHECK(Read({"-td"}).arguments.is_on("detach"));
  CHECK_FALSE(Read({"-dt=false"}).arguments.is_on("tty"));
}

TEST_CASE("arguments: a flag without a value does not take the word behind it", "[arguments]") {
  const Read read({"--tty", "false"});
  CHECK(read.arguments.is_on("tty"));
  CHECK(read.rest() == Words{"false"});
}

TEST_CASE("arguments: flags are found behind words, and none behind two dashes", "[arguments]") {
  const Read read({"id", "--tty", "--", "-d", "--", "--bundle"});
  CHECK(read.arguments.is_on("tty"));
  CHECK_FALSE(read.arguments.is_on("detach"));
  CHECK(read.rest() == Words{"id", "-d", "--", "--bundle"});
}

TEST_CASE("arguments: behind the first word nothing is a flag where order says so", "[arguments]") {
  const Read read({"-t", "id", "-d", "--", "--unknown", "--help"}, Order::before_first_word);
  CHECK(read.arguments.is_on("tty"));
  CHECK_FALSE(read.arguments.is_on("detach"));
  CHECK_FALSE(read.arguments.asks_help());
  CHECK(read.rest() == Words{"id", "-d", "--", "--unknown", "--help"});

  const Read dashes({"--", "id", "-d"}, Order::before_first_word);
  CHECK(dashes.rest() == Words{"id", "-d"});
}

TEST_CASE("arguments: a dash alone and an empty word are words", "[arguments]") {
  CHECK(Read({"-", "", "x"}).rest() == Words{"-", "", "x"});
}

TEST_CASE("arguments: what is no flag is refused by name, abbreviations too", "[arguments]") {
  CHECK(refusal({"--nothing"}) == "flag provided but not defined: -nothing");
  CHECK(refusal({"-nothing=1"}) == "flag provided but not defined: -nothing");
  CHECK(refusal({"--bundl", "/b"}) == "flag provided but not defined: -bundl");
  CHECK(refusal({"--pid", "/p"}) == "flag provided but not defined: -pid");
  CHECK(refusal({"--bundles", "/b"}) == "flag provided but not defined: -bundles");
  CHECK(refusal({"--BUNDLE", "/b"}) == "flag provided but not defined: -BUNDLE");
  CHECK(refusal({"-x"}) == "flag provided but not defined: -x");
  CHECK(refusal({"-tx"}) == "flag provided but not defined: -tx");
  CHECK(refusal({"---tty"}) == "flag provided but not defined: --tty");
  CHECK(refusal({"--=x"}) == "flag provided but not defined: -");
  CHECK(refusal({"--td"}) == "flag provided but not defined: -td");
}

TEST_CASE("arguments: a missing value is named in the words that podman looks for", "[arguments]") {
  CHECK(refusal({"--bundle"}) == "flag needs an argument: --bundle");
  CHECK(refusal({"-b"}) == "flag needs an argument: --bundle");
  CHECK(refusal({"-tb"}) == "flag needs an argument: --bundle");
  CHECK(refusal({"id", "--env"}) == "flag needs an argument: --env");
}

TEST_CASE("arguments: a value of the wrong kind is refused where it is read", "[arguments]") {
  for (const std::string_view bad :
       {"", "x", "-1", "+1", " 1", "1 ", "0x1", "1.0", "2147483648", "99999999999999999999"}) {
    CHECK(refusal({"--preserve-fds", bad}) ==
          "invalid value \"" + std::string(bad) + "\" for flag -preserve-fds: expected a number");
  }
  CHECK(refusal({"--tty=maybe"}) ==
        "invalid value \"maybe\" for flag -tty: expected true or false");
  CHECK(refusal({"--tty="}) == "invalid value \"\" for flag -tty: expected true or false");
  CHECK(Read({"--preserve-fds=2147483647"}).arguments.number("preserve-fds") == 2147483647);
  CHECK(Read({"--preserve-fds", "007"}).arguments.number("preserve-fds") == 7);
}

TEST_CASE("arguments: help is found before a later mistake, and not after an earlier one",
          "[arguments]") {
  CHECK(Read({"--help", "--nothing"}).arguments.asks_help());
  CHECK(Read({"id", "-h"}).arguments.asks_help());
  CHECK(Read({"-th"}).arguments.asks_help());
  CHECK(refusal({"--nothing", "--help"}) == "flag provided but not defined: -nothing");
  CHECK_FALSE(Read({"--", "--help"}).arguments.asks_help());
}

TEST_CASE("arguments: a hundred thousand words are read", "[arguments]") {
  Words words(100'000, "--env=A");
  words.push_back("id");
  const Read read(words);
  CHECK(read.arguments.texts("env").size() == 100'000);
  CHECK(read.rest() == Words{"id"});
}

TEST_CASE("arguments: booleans are those of Go", "[arguments]") {
  CHECK(parse_boolean("T") == true);
  CHECK(parse_boolean("True") == true);
  CHECK(parse_boolean("FALSE") == false);
  CHECK(parse_boolean("f") == false);
  for (const std::string_view other : {"", "yes", "on", "tRUE", "2", "true "}) {
    CHECK_FALSE(parse_boolean(other).has_value());
  }
}

TEST_CASE("arguments: a number is bounded by what it is for", "[arguments]") {
  CHECK(parse_number("10", 10) == 10U);
  CHECK_FALSE(parse_number("11", 10).has_value());
  CHECK(parse_number("4294967295", 4294967295U) == 4294967295U);
  CHECK_FALSE(parse_number("4294967296", 4294967295U).has_value());
}
