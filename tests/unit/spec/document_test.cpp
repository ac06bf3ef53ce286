#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "spec/reader.hpp"
#include "tare/error.hpp"

namespace tare::spec {
namespace {

using namespace std::string_literals;

constexpr std::string_view kSample = R"({
  "ociVersion": "1.2.0",
  "process": {"args": ["sh", "-c", "echo \"\u00e4\ud83d\ude00\\n\""], "terminal": false},
  "mounts": [{"destination": "/proc", "type": "proc"}, {"options": ["ro", "mode=755"]}],
  "linux": {"resources": {"memory": {"limit": -1}, "pids": {"limit": 1e2}}, "seccomp": null},
  "annotations": {"a/b~c": "x", "": "y"}
})";

// What reading the text is refused with.
std::string fault_of(std::string_view text) {
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
      {"", "line 1, column 1: syntax error while parsing value - unexpected end of input"},
      {" \n\t", "line 2, column 2: syntax error while parsing value - unexpected end of input"},
      {"{", "line 1, column 2: syntax error while parsing object key - unexpected end of input"},
      {"[1,]", "line 1, column 4: syntax error while parsing value - unexpected ']'"},
      {"{\"a\":1,}", "line 1, column 8: syntax error while parsing object key - unexpected '}'"},
      {"{\n \"a\" 1}", "line 2, column 6: syntax error while parsing object separator"},
      {"{'a':1}", "line 1, column 2: syntax error while parsing object key - invalid literal"},
      {"{\"a\":tru}", "line 1, column 9: syntax error while parsing value - invalid literal"},
      {"{} {}", "line 1, column 4: syntax error while parsing value - unexpected '{'"},
      {"{}x", "line 1, column 3: syntax error while parsing value - invalid literal"},
      {"[01]", "line 1, column 3: syntax error while parsing array - unexpected number literal"},
      {"[+1]", "line 1, column 2: syntax error while parsing value - invalid literal"},
      {"[1.]", "line 1, column 4: syntax error while parsing value - invalid number"},
      {"[NaN]", "line 1, column 2: syntax error while parsing value - invalid literal"},
      {"[\"\n\"]", "line 1, column 3: syntax error while parsing value - invalid string"},
      {"[\"\\x\"]", "line 1, column 4: syntax error while parsing value - invalid string"},
      {"[\"\\ud800\"]", "line 1, column 9: syntax error while parsing value - invalid string"},
      {"// no\n{}", "line 1, column 1: syntax error while parsing value - invalid literal"},
      {"{\"a\":1 /* no */}", "line 1, column 8: syntax error while parsing object"},
      {"[1e999]", "line 1, column 6: number overflow"},
  }));
  CAPTURE(text);
  CHECK_THAT(fault_of(text), Catch::StartsWith("config.json: " + fault));
}

TEST_CASE("what is no UTF-8 is refused and not repeated", "[document]") {
  const std::string bytes =
      GENERATE("\xff"s, "\xc0\x80"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, "\xe2\x82"s, "\x80"s);
  const std::string fault = fault_of("{\"a\":\"" + bytes + "\"}");
  CHECK_THAT(fault, Catch::Contains("invalid string: ill-formed UTF-8 byte"));
  for (const char c : fault) CHECK(static_cast<unsigned char>(c) < 0x80);
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

TEST_CASE("64 containers within each other are read and 65 are not", "[document]") {
  const auto nested = [](std::size_t depth, const std::string& open, char close) {
    std::string text;
    for (std::size_t level = 0; level < depth; ++level) text += open;
    return text + (open == "[" ? "" : "1") + std::string(depth, close);
  };
  CHECK(fault_of(nested(64, "[", ']')) == "none");
  CHECK(fault_of(nested(64, "{\"a\":", '}')) == "none");
  CHECK_THAT(fault_of(nested(65, "[", ']')), Catch::EndsWith("/0/0: nested deeper than 64"));
  CHECK_THAT(fault_of(nested(65, "{\"a\":", '}')), Catch::EndsWith("/a/a: nested deeper than 64"));
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
  CHECK(document.pointer_of(nlohmann::json(1)).empty());
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
