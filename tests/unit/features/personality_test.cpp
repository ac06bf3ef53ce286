#include "features/personality.hpp"

#include <sys/personality.h>

#include <catch2/catch.hpp>

#include "sys/process.hpp"

namespace tare::personality {
namespace {

Plan read_text(const std::string& personality) {
  const spec::Document document("config.json", R"({"personality": )" + personality + "}");
  return read(document.top());
}

TEST_CASE("both domains are read, and without the field nothing is set", "[personality]") {
  CHECK(read_text(R"({"domain": "LINUX"})") == Plan{.domain = PER_LINUX});
  CHECK(read_text(R"({"domain": "LINUX32", "flags": []})") == Plan{.domain = PER_LINUX32});
  CHECK(read_text("null") == Plan{});
}

TEST_CASE("an unknown domain and every flag are refused", "[personality]") {
  const auto [text, field, words] = GENERATE(table<std::string, std::string, std::string>({
      {R"({"domain": "LINUX64"})", "/domain", "invalid personality domain \"LINUX64\""},
      {R"({"domain": ""})", "/domain", "invalid personality domain \"\""},
      {R"({"domain": 8})", "/domain", "expected"},
      {"{}", "/domain", "domain"},
      {R"({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]})", "/flags/0",
       "unknown personality flag \"ADDR_NO_RANDOMIZE\""},
      {R"({"domain": "LINUX", "flags": "x"})", "/flags", "expected"},
      {R"("LINUX")", "", "expected"},
  }));
  CAPTURE(text);
  try {
    read_text(text);
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    CHECK(error.field() == "/personality" + field);
    CHECK_THAT(error.message(), Catch::Contains(words));
  }
}

TEST_CASE("the domain takes the place of all that the caller had, or of nothing", "[personality]") {
  const sys::Child child = sys::spawn({}, [] {
    constexpr unsigned long kAsk = 0xffffffff;
    ::personality(ADDR_NO_RANDOMIZE);
    apply({});
    if (::personality(kAsk) != ADDR_NO_RANDOMIZE) return 1;
    apply({.domain = PER_LINUX});
    return ::personality(kAsk) == PER_LINUX ? 0 : 2;
  });
  CHECK(sys::wait_for(child.pidfd).code == 0);
}

TEST_CASE("the domain is explained by its name", "[personality]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.domain = PER_LINUX32}, out);
  REQUIRE(out.effects().size() == 1);
  CHECK(out.effects()[0].text == "set the domain LINUX32");
}

}  // namespace
}  // namespace tare::personality
