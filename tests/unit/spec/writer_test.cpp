#include "spec/writer.hpp"

#include <catch2/catch.hpp>
#include <limits>

#include "spec/reader.hpp"

namespace tare::spec {
namespace {

std::string written(Writer::Form form) {
  Writer out(form);
  out.add("text", "a\"b\\c\n\x01/");
  out.add("yes", true);
  out.add("least", std::numeric_limits<std::int64_t>::min());
  out.add("most", std::numeric_limits<std::uint64_t>::max());
  out.add("texts", std::vector<std::string>{"b", "a"});
  out.add_object("below", [&] {
    out.add("named", std::map<std::string, std::string>{{"k", "v"}});
    out.add("none", std::vector<std::string>{});
  });
  return out.finish();
}

TEST_CASE("an object is written in the order of its members", "[writer]") {
  CHECK(written(Writer::Form::line) ==
        R"({"text":"a\"b\\c\n\u0001/","yes":true,"least":-9223372036854775808,)"
        R"("most":18446744073709551615,"texts":["b","a"],"below":{"named":{"k":"v"},"none":[]}})");
  CHECK(Writer().finish() == "{}");
}

TEST_CASE("indented, it is for people", "[writer]") {
  CHECK(written(Writer::Form::indented) == R"({
  "text": "a\"b\\c\n\u0001/",
  "yes": true,
  "least": -9223372036854775808,
  "most": 18446744073709551615,
  "texts": [
    "b",
    "a"
  ],
  "below": {
    "named": {
      "k": "v"
    },
    "none": []
  }
})");
  CHECK(Writer(Writer::Form::indented).finish() == "{}");
}

TEST_CASE("text that is no UTF-8 is written all the same", "[writer]") {
  Writer out;
  out.add("path", "/srv/\xff\xc3");
  out.add("paths", std::vector<std::string>{"\xe2\x82"});
  const std::string text = out.finish();
  const Document document("text", text);
  CHECK(document.top().at("path").string() == "/srv/\xef\xbf\xbd\xef\xbf\xbd");
}

}  // namespace
}  // namespace tare::spec
