#include "spec/reader.hpp"

#include <catch2/catch.hpp>
#include <functional>

#include "tare/error.hpp"

namespace tare::spec {
namespace {

using namespace std::string_literals;

const std::string kConfig = R"({
  "null": null,
  "string": "text",
  "number": 7,
  "fraction": 1.5,
  "exponent": 1e3,
  "yes": true,
  "array": ["a", 7, {"deep": []}],
  "object": {"b": 1, "a": {"a/b~c": "x"}, "": 0}
})";

Error error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing was thrown");
}

TEST_CASE("reader: what nobody asks for is listed, once it is watched", "[reader]") {
  Document document("d",
                    R"({"a": {"b": 1, "x/y~": 2}, "l": [{"c": null, "d": 1}], "z": {"q": 1}})");
  CHECK(document.ignored().empty());
  document.watch();
  CHECK(document.ignored() == std::vector<std::string>{"/a", "/l", "/z"});
  const Reader top = document.top();
  CHECK(top.at("a").at("b").integer<int>() == 1);
  CHECK_FALSE(top.at("l").items()[0].find("c"));
  CHECK_FALSE(top.find("nothing"));
  CHECK(document.ignored() == std::vector<std::string>{"/a/x~1y~0", "/l/0/d", "/z"});
  CHECK(top.at("z").members().size() == 1);
  CHECK(document.ignored() == std::vector<std::string>{"/a/x~1y~0", "/l/0/d"});
}

TEST_CASE("a value of another type is refused with its place and what was found", "[reader]") {
  const Document document("config.json", kConfig);
  const Reader top = document.top();
  const auto check = [](const std::function<void()>& body, const std::string& text,
                        const std::string& field) {
    const Error error = error_of(body);
    CHECK(error.message() == "config.json" + text);
    CHECK(error.field() == field);
    CHECK(error.kind() == ErrorKind::spec);
  };
  check([&] { top.at("number").string(); }, " /number: expected a string, found 7", "/number");
  check([&] { top.at("string").boolean(); }, " /string: expected true or false, found \"text\"",
        "/string");
  check([&] { top.at("yes").integer<int>(); }, " /yes: expected a whole number, found true",
        "/yes");
  check([&] { top.at("yes").integer<unsigned>(); }, " /yes: expected a whole number, found true",
        "/yes");
  check([&] { top.at("fraction").integer<int>(); },
        " /fraction: expected a whole number, found 1.5", "/fraction");
  check([&] { top.at("exponent").integer<int>(); },
        " /exponent: expected a whole number, found 1000.0", "/exponent");
  check([&] { top.at("string").items(); }, " /string: expected an array, found \"text\"",
        "/string");
  check([&] { top.at("array").members(); },
        " /array: expected an object, found [\"a\",7,{\"deep\":[]}]", "/array");
  check([&] { top.at("array").find("x"); },
        " /array: expected an object, found [\"a\",7,{\"deep\":[]}]", "/array");
  check([&] { top.at("array").strings(); }, " /array/1: expected a string, found 7", "/array/1");
  check([&] { top.string(); },
        ": expected a string, found "
        "{\"null\":null,\"string\":\"text\",\"number\":7,\"fraction\":1.5,\"expo…",
        "");
}

TEST_CASE("null is the same as absent, and neither is a value", "[reader]") {
  const Document document("config.json", kConfig);
  const Reader top = document.top();
  CHECK_FALSE(top.find("null"));
  CHECK_FALSE(top.find("none"));
  CHECK(top.find("object")->find(""));
  for (const std::string key : {"null", "none"}) {
    const Error error = error_of([&] { top.at(key); });
    CHECK(error.message() == "config.json /" + key + ": required, but missing");
    CHECK(error.field() == "/" + key);
  }
  const Error deep = error_of([&] { top.at("object").at("c"); });
  CHECK(deep.message() == "config.json /object/c: required, but missing");
  const Document list("l", "[null]");
  CHECK(error_of([&] { list.top().strings(); }).message() == "l /0: expected a string, found null");
}

TEST_CASE("a pointer is written as RFC 6901 has it", "[reader]") {
  const Document document("config.json", kConfig);
  const Reader top = document.top();
  CHECK(top.at("object").at("a").at("a/b~c").pointer() == "/object/a/a~1b~0c");
  CHECK(top.at("object").at("").pointer() == "/object/");
  CHECK(top.at("array").items()[2].at("deep").pointer() == "/array/2/deep");
}

TEST_CASE("members come in the order of their names and items in their own", "[reader]") {
  const Document document("config.json", kConfig);
  std::string names;
  for (const auto& [name, value] : document.top().at("object").members()) names += name + ";";
  CHECK(names == ";a;b;");
  CHECK(document.top().at("array").items().size() == 3);
}

TEST_CASE("a NUL is refused wherever the kernel could be given it", "[reader]") {
  const Document document("d", R"({"s": "a\u0000b", "l": ["ok", "\u0000"], "o": {"x\u0000y": 1}})");
  const Reader top = document.top();
  CHECK(error_of([&] { top.at("s").string(); }).message() ==
        "d /s: a string must not hold a NUL character");
  CHECK(error_of([&] { top.at("l").strings(); }).message() ==
        "d /l/1: a string must not hold a NUL character");
  CHECK(error_of([&] { top.at("o").members(); }).message() ==
        "d /o: a name must not hold a NUL character");
}

// "in" where the number is taken, or else the message.
template <typename T>
std::string verdict(const std::string& number, T low = std::numeric_limits<T>::min(),
                    T high = std::numeric_limits<T>::max()) {
  const Document document("d", "[" + number + "]");
  try {
    const T got = document.top().items()[0].integer<T>(low, high);
    // What is taken is what was written, but for -0.
    CHECK(std::to_string(got) == (number == "-0" ? "0" : number));
    return "in";
  } catch (const Error& error) {
    return error.message();
  }
}

TEST_CASE("a whole number is taken within the range of its type and not beyond", "[reader]") {
  CHECK(verdict<std::int64_t>("9223372036854775807") == "in");
  CHECK(verdict<std::int64_t>("-9223372036854775808") == "in");
  CHECK(verdict<std::int64_t>("9223372036854775808") ==
        "d /0: 9223372036854775808 is not within -9223372036854775808 and 9223372036854775807");
  CHECK(verdict<std::int64_t>("-9223372036854775809") ==
        "d /0: expected a whole number, found -9223372036854776000.0");
  CHECK(verdict<std::uint64_t>("18446744073709551615") == "in");
  CHECK(verdict<std::uint64_t>("0") == "in");
  CHECK(verdict<std::uint64_t>("18446744073709551616") ==
        "d /0: expected a whole number, found 18446744073709553000.0");
  CHECK(verdict<std::uint64_t>("-1") == "d /0: -1 is not within 0 and 18446744073709551615");
  CHECK(verdict<std::uint64_t>("-9223372036854775808") ==
        "d /0: -9223372036854775808 is not within 0 and 18446744073709551615");
  CHECK(verdict<std::uint32_t>("4294967295") == "in");
  CHECK(verdict<std::uint32_t>("4294967296") == "d /0: 4294967296 is not within 0 and 4294967295");
  CHECK(verdict<int>("2147483647") == "in");
  CHECK(verdict<int>("2147483648") != "in");
  CHECK(verdict<int>("-2147483649") != "in");
  CHECK(verdict<std::uint16_t>("65536") != "in");
  CHECK(verdict<std::int8_t>("-128") == "in");
  CHECK(verdict<std::int8_t>("-129") != "in");
}

TEST_CASE("minus zero is zero", "[reader]") {
  CHECK(verdict<int>("-0") == "in");
  CHECK(verdict<std::uint64_t>("-0") == "in");
}

TEST_CASE("a range of the caller's is kept at both of its ends", "[reader]") {
  CHECK(verdict<int>("-1000", -1000, 1000) == "in");
  CHECK(verdict<int>("1000", -1000, 1000) == "in");
  CHECK(verdict<int>("1001", -1000, 1000) == "d /0: 1001 is not within -1000 and 1000");
  CHECK(verdict<int>("-1001", -1000, 1000) == "d /0: -1001 is not within -1000 and 1000");
  CHECK(verdict<unsigned>("1", 2U, 3U) == "d /0: 1 is not within 2 and 3");
  // A range below zero, and a number whose bits are those of one within it.
  constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
  CHECK(verdict<std::int64_t>("9223372036854775808", kLowest, -1) != "in");
  CHECK(verdict<std::int64_t>("18446744073709551615", kLowest, -1) != "in");
  CHECK(verdict<std::int64_t>("5", -10, -1) != "in");
}

enum class Fruit { apple, pear };
constexpr Word<Fruit> kFruit[] = {{"apple", Fruit::apple}, {"pear", Fruit::pear}};

TEST_CASE("a word stands for its value and any other is told with its place", "[reader]") {
  const Document document("d", R"(["pear", "Pear", "pea", "", 1])");
  const std::vector<Reader> items = document.top().items();
  CHECK(items[0].one_of("fruit", kFruit) == Fruit::pear);
  CHECK(error_of([&] { items[1].one_of("fruit", kFruit); }).message() ==
        "d /1: unknown fruit \"Pear\"");
  CHECK(error_of([&] { items[2].one_of("fruit", kFruit); }).field() == "/2");
  CHECK_THROWS_AS(items[3].one_of("fruit", kFruit), Error);
  CHECK(error_of([&] { items[4].one_of("fruit", kFruit); }).message() ==
        "d /4: expected a string, found 1");
}

TEST_CASE("a default stands for what is absent and for nothing else", "[reader]") {
  const Document document("config.json", kConfig);
  const Reader top = document.top();
  CHECK(top.string_or("string", "other") == "text");
  CHECK(top.string_or("none", "other") == "other");
  CHECK(top.boolean_or("yes", false));
  CHECK(top.boolean_or("null", true));
  CHECK(top.strings_or_none("none").empty());
  CHECK(top.find_integer<int>("number") == 7);
  CHECK_FALSE(top.find_integer<int>("none"));
  CHECK_THROWS_AS(top.string_or("number", "other"), Error);
  CHECK_THROWS_AS(top.boolean_or("number", false), Error);
  CHECK_THROWS_AS(top.strings_or_none("object"), Error);
  CHECK_THROWS_AS(top.find_integer<int>("string"), Error);
}

TEST_CASE("what asks for nothing is known however deep its nothing is", "[reader]") {
  const auto [text, nothing] = GENERATE(table<std::string, bool>({
      {"null", true},
      {"\"\"", true},
      {"{}", true},
      {"[]", true},
      {"0", true},
      {"-0", true},
      {"0.0", true},
      {"false", true},
      {R"({"a": {"b": [0, "", [null, {}]]}})", true},
      {"\" \"", false},
      {"1", false},
      {"-1", false},
      {"0.001", false},
      {"true", false},
      {R"({"a": {"b": [0, "", [null, {"c": 1}]]}})", false},
  }));
  const Document document("d", "[" + text + "]");
  CAPTURE(text);
  CHECK(document.top().items()[0].asks_nothing() == nothing);
}

TEST_CASE("an unsupported field is refused by name where it asks for something", "[reader]") {
  const Document document("config.json",
                          R"({"linux": {"off": {"x": 0}, "on": {"x": 1}, "null": null}})");
  const Reader object = document.top().at("linux");
  CHECK_NOTHROW(object.refuse("off", "why"));
  CHECK_NOTHROW(object.refuse("null", "why"));
  CHECK_NOTHROW(object.refuse("none", "why"));
  const Error error = error_of([&] { object.refuse("on", "the reason"); });
  CHECK(error.message() == "config.json /linux/on: not supported: the reason (found {\"x\":1})");
  CHECK(error.kind() == ErrorKind::unsupported);
  CHECK(error.field() == "/linux/on");
}

TEST_CASE("a long value is shown by its beginning, and no character is cut in two", "[reader]") {
  for (std::size_t before = 50; before < 62; ++before) {
    const Document document("d", "[\"" + std::string(before, 'a') + "\u20ac\u20ac\u20ac\u20ac\"]");
    const std::string shown = document.top().items()[0].shown();
    CHECK(shown.size() <= 63);
    CHECK_THAT(shown, Catch::EndsWith("…"));
    const std::size_t euros = shown.size() - 3 - shown.find_last_of("a\"", shown.size() - 4) - 1;
    CHECK(euros % 3 == 0);
  }
  const Document document("d", "[\"" + std::string(58, 'a') + "\"]");
  CHECK(document.top().items()[0].shown() == "\"" + std::string(58, 'a') + "\"");
}

TEST_CASE("a value is given back as JSON, whole", "[reader]") {
  const Document document("config.json", kConfig);
  CHECK(document.top().at("object").json() == R"({"b":1,"a":{"a/b~c":"x"},"":0})");
}

TEST_CASE("a reader may be copied and outlives the one that made it", "[reader]") {
  const Document document("config.json", kConfig);
  std::optional<Reader> deep;
  {
    const Reader top = document.top();
    const std::vector<Reader> items = top.at("array").items();
    deep = items[2];
  }
  CHECK(deep->pointer() == "/array/2");
}

}  // namespace
}  // namespace tare::spec
