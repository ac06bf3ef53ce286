#include <fmt/core.h>

#include <catch2/catch.hpp>

#include "spec/json_library.hpp"
#include "spec/reader.hpp"
#include "tare/error.hpp"

namespace tare::spec {
namespace {

using namespace std::string_literals;

const std::string kSample = R"({
  "ociVersion": "1.2.0",
  "process": {"args": ["sh", "-c", "echo \"\u00e4\ud83d\ude00\\n\""], "terminal": false},
  "mounts": [{"destination": "/proc", "type": "proc"}, {"options": ["ro", "mode=755"]}],
  "linux": {"resources": {"memory": {"limit": -1}, "pids": {"limit": 1e2}}, "seccomp": null},
  "annotations": {"a/b~c": "x", "": "y"}
})";

// What reading the text is refused with.
std::string fault_of(const std::string& text) {
  try {
    const Document document("config.json", text);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    return error.message();
  }
  return "none";
}

TEST_CASE("a whole document is read and known by its name", "[document]") {
  const Document document("config.json", kSample);
  CHECK(document.name() == "config.json");
  CHECK(document.top().at("ociVersion").string() == "1.2.0");
  CHECK(document.top().pointer().empty());
}

TEST_CASE("a text that is no JSON is refused with the place and the reason", "[document]") {
  const auto [text, fault] = GENERATE(table<std::string, std::string>({
      {"", "line 1, column 1: the document is empty"},
      {" \n\t", "line 2, column 2: the document is empty"},
      {"{", "line 1, column 2: missing a name for object member"},
      {"[1,]", "line 1, column 4: invalid value"},
      {"{\"a\":1,}", "line 1, column 8: missing a name for object member"},
      {"{\n \"a\" 1}", "line 2, column 6: missing a colon after a name of object member"},
      {"{'a':1}", "line 1, column 2: missing a name for object member"},
      {"{\"a\":tru}", "line 1, column 9: invalid value"},
      {"{} {}", "line 1, column 4: the document root must not be followed by other values"},
      {"{}x", "line 1, column 3: the document root must not be followed by other values"},
      {"[01]", "line 1, column 3: missing a comma or ']' after an array element"},
      {"[+1]", "line 1, column 2: invalid value"},
      {"[1.]", "line 1, column 4: miss fraction part in number"},
      {"[NaN]", "line 1, column 2: invalid value"},
      {"[\"\n\"]", "line 1, column 3: a control character in a string"},
      {"[\"\\x\"]", "line 1, column 3: invalid escape character in string"},
      {"[\"\\ud800\"]", "line 1, column 3: the surrogate pair in string is invalid"},
      {"// no\n{}", "line 1, column 1: invalid value"},
      {"{\"a\":1 /* no */}", "line 1, column 8: missing a comma or '}' after an object member"},
      {"[1e999]", "line 1, column 2: number too big to be stored in double"},
  }));
  CAPTURE(text);
  CHECK_THAT(fault_of(text), Catch::StartsWith("config.json: " + fault));
}

TEST_CASE("what is no UTF-8 is refused and not repeated", "[document]") {
  const std::string bytes =
      GENERATE("\xff"s, "\xc0\x80"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, "\xe2\x82"s, "\x80"s);
  // Wherever it stands among the eight bytes that are looked at together, and at the very end.
  const auto [before, after] = GENERATE(table<std::string, std::string>({
      {"{\"a\":\"", "\"}"},
      {"{\"aaaaaaaaaaaaaaaaaaaa\":\"\u00e4", "\"}"},
      {"{\"\xc3\xa4\xf0\x9f\x98\x80\":\"", ""},
  }));
  const std::string fault = fault_of(before + bytes + after);
  CHECK(fault == fmt::format("config.json: line 1, column {}: no UTF-8", before.size() + 1));
}

TEST_CASE("a refusal does not quote a text without end", "[document]") {
  CHECK(fault_of("[\"" + std::string(100'000, 'a')).size() < 200);
  CHECK(fault_of("[" + std::string(100'000, '9') + "e99999999]").size() < 200);
}

TEST_CASE("a NUL byte ends no document", "[document]") {
  CHECK(fault_of("{}\0"s) == "config.json: line 1, column 3: a NUL byte");
  CHECK(fault_of("{}\n\0{\"never\": \"read\"}"s) == "config.json: line 2, column 1: a NUL byte");
  CHECK(fault_of("\0"s) == "config.json: line 1, column 1: a NUL byte");
}

TEST_CASE("a byte order mark in front is passed over and nowhere else", "[document]") {
  CHECK(fault_of("\xef\xbb\xbf{}") == "none");
  CHECK(fault_of("\xef\xbb{}") != "none");
  CHECK(fault_of("{}\xef\xbb\xbf") != "none");
}

TEST_CASE("a name that stands twice is refused, and its object named", "[document]") {
  CHECK(fault_of(R"({"a": 1, "a": 1})") == "config.json: duplicate name \"a\"");
  CHECK(fault_of(R"({"x": [{}, {"b": 1, "c": {"b": 2}, "b": 3}]})") ==
        "config.json /x/1: duplicate name \"b\"");
  CHECK(fault_of(R"({"a": null, "\u0061": 1})") == "config.json: duplicate name \"a\"");
  CHECK(fault_of(R"({"a": {"a": {"a": 1}}, "A": 1})") == "none");
}

TEST_CASE("a name that stands twice is found among many", "[document]") {
  std::string members;
  for (int number = 0; number < 100; ++number) members += fmt::format("\"{}\": 1, ", number);
  CHECK(fault_of("{" + members + "\"x\": 1}") == "none");
  CHECK(fault_of("{" + members + "\"50\": 1}") == "config.json: duplicate name \"50\"");
}

TEST_CASE("64 containers within each other are read and 65 are not", "[document]") {
  const auto nested = [](std::size_t depth, const std::string& open, char close) {
    std::string text;
    for (std::size_t level = 0; level < depth; ++level) text += open;
    return text + (open == "[" ? "" : "1") + std::string(depth, close);
  };
  CHECK(fault_of(nested(64, "[", ']')) == "none");
  CHECK(fault_of(nested(64, "{\"a\":", '}')) == "none");
  CHECK_THAT(fault_of(nested(65, "[", ']')), Catch::EndsWith("column 66: nested deeper than 64"));
  CHECK_THAT(fault_of(nested(65, "{\"a\":", '}')),
             Catch::EndsWith("column 322: nested deeper than 64"));
  CHECK_THAT(fault_of(std::string(1'000'000, '[')), Catch::EndsWith("nested deeper than 64"));
}

TEST_CASE("no truncation of a config is taken for a config", "[document]") {
  for (std::size_t length = 0; length < kSample.size(); ++length) {
    CAPTURE(length);
    CHECK_THAT(fault_of(kSample.substr(0, length)), Catch::StartsWith("config.json: line "));
  }
  CHECK(fault_of(kSample) == "none");
}

TEST_CASE("whatever byte of a config is changed, it is read or refused and nothing else",
          "[document]") {
  for (std::size_t at = 0; at < kSample.size(); ++at) {
    for (const char byte : {'\0', '"', '\\', '{', ']', ',', '9', '-', 'e', '\x80', '\xff'}) {
      std::string text(kSample);
      text[at] = byte;
      const std::string fault = fault_of(text);
      CHECK((fault == "none" || fault.starts_with("config.json")));
    }
  }
}

TEST_CASE("a value that is not the document's has no place in it", "[document]") {
  const Document document("config.json", kSample);
  CHECK(document.pointer_of(JsonValue(1)).empty());
}

TEST_CASE("numbers, literals and strings are what they are written as", "[document]") {
  const Document document(
      "d",
      R"([0, -0, -1, 18446744073709551615, 1.5, true, false, null, "", "\u00e4\/\b", {}, []])");
  const std::string back = document.top().json();
  CHECK(back == "[0,0,-1,18446744073709551615,1.5,true,false,null,\"\",\"\xc3\xa4/\\b\",{},[]]");
}

}  // namespace
}  // namespace tare::spec
