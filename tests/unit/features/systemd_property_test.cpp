#include "features/systemd_property.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tare/error.hpp"

namespace tare::systemd_property {
namespace {

using sys::BusValue;

TEST_CASE("a value's text says its type", "[systemd_property]") {
  struct Case {
    std::string text;
    BusValue value;
  };
  const Case cases[] = {
      {"true", BusValue::boolean(true)},
      {" false ", BusValue::boolean(false)},
      {"5", {"i", std::uint64_t{5}}},
      {"-1", {"i", ~std::uint64_t{0}}},
      {"0x10", {"i", std::uint64_t{16}}},
      {"010", {"i", std::uint64_t{8}}},
      {"+7", {"i", std::uint64_t{7}}},
      {"uint64 123", BusValue::uint64(123)},
      {"uint64 18446744073709551615", BusValue::uint64(~std::uint64_t{0})},
      {"int64 -9223372036854775808", {"x", std::uint64_t{1} << 63U}},
      {"byte 255", {"y", std::uint64_t{255}}},
      {"@q 65535", {"q", std::uint64_t{65535}}},
      {"1.5", {"d", 1.5}},
      {"double 2", {"d", 2.0}},
      {"-1e3", {"d", -1000.0}},
      {"'text'", BusValue::string("text")},
      {R"("it's")", BusValue::string("it's")},
      {R"('it\'s')", BusValue::string("it's")},
      {"objectpath '/a'", {"o", std::string("/a")}},
      {"['a', 'b']", BusValue::array("s", {BusValue::string("a"), BusValue::string("b")})},
      {"@as []", BusValue::array("s", {})},
      {"@at [1, 2]", BusValue::array("t", {BusValue::uint64(1), BusValue::uint64(2)})},
      {"[uint64 1, 2]", BusValue::array("t", {BusValue::uint64(1), BusValue::uint64(2)})},
      {"('a', uint64 2)", BusValue::structure({BusValue::string("a"), BusValue::uint64(2)})},
      {"@(st) ('a', 2)", BusValue::structure({BusValue::string("a"), BusValue::uint64(2)})},
      {"<'a'>", BusValue::variant(BusValue::string("a"))},
      {"[('a', true)]", BusValue::array("(sb)", {BusValue::structure({BusValue::string("a"),
                                                                      BusValue::boolean(true)})})},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    CHECK(parse_value(one.text) == one.value);
  }
}

TEST_CASE("what is no value is refused with the place where it goes wrong", "[systemd_property]") {
  struct Case {
    std::string text;
    std::string why;
  };
  const Case cases[] = {
      {"", "a value is missing (at character 1)"},
      {"infinity", "\"infinity\" is no value"},
      {"1 2", "something follows the value"},
      {"'open", "a quote is missing"},
      {std::string("'a\0b'", 5), "a NUL in a text"},
      {"[]", "an empty array wants its type"},
      {"[1", "] is missing"},
      {"[1 2]", "a comma is missing"},
      {"[1, 'a']", "a text where another type is wanted"},
      {"['a', 1]", "a number where another type is wanted"},
      {"()", "members of a structure are missing"},
      {"@(st) ('a')", "members of a structure are missing"},
      {"@(st) ('a', 1, 2)", "too many members"},
      {"<1", "> is missing"},
      {"@k 1", "@ wants a type of D-Bus"},
      {"@as 5", "a number where another type is wanted"},
      {"uint64 'a'", "a text where another type is wanted"},
      {"uint64 true", "type b where t is wanted"},
      {"uint64 -1", "-1 is out of range"},
      {"byte 256", "256 is out of range"},
      {"int16 -32769", "-32769 is out of range"},
      {"4294967296", "4294967296 is out of range"},
      {"uint64 18446744073709551616", "is out of range"},
      {"uint64 1x", "\"1x\" is no number"},
      {"08", "\"08\" is no number"},
      {"-", "\"-\" is no number"},
      {"1.5.2", "\"1.5.2\" is no number"},
      {"%", "unexpected '%'"},
      {std::string(100, '<') + "1" + std::string(100, '>'), "too deep"},
      {"@" + std::string(100, 'a') + "s []", "@ wants a type"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    CHECK_THROWS_WITH(parse_value(one.text), Catch::Contains(one.why));
  }
}

TEST_CASE("annotations of systemd are properties, and others are not", "[systemd_property]") {
  CHECK(read({{"org.systemd.property.CollectMode", "'inactive-or-failed'"},
              {"org.systemd.property.CPUWeight", "uint64 7"},
              {"org.other.property.Name", "nonsense"}}) ==
        std::vector<Property>{
            {.name = "CPUWeight", .value = BusValue::uint64(7)},
            {.name = "CollectMode", .value = BusValue::string("inactive-or-failed")}});
}

TEST_CASE("seconds of a unit file are microseconds on the bus", "[systemd_property]") {
  struct Case {
    std::string text;
    std::uint64_t microseconds;
  };
  const Case cases[] = {
      {"uint64 5", 5'000'000}, {"5", 5'000'000}, {"1.5", 1'500'000}, {"byte 1", 1'000'000}};
  for (const Case& one : cases) {
    CAPTURE(one.text);
    CHECK(read({{"org.systemd.property.TimeoutStopSec", one.text}}) ==
          std::vector<Property>{
              {.name = "TimeoutStopUSec", .value = BusValue::uint64(one.microseconds)}});
  }
  // "USec" is what the bus calls it already, and "Sec" alone is nothing in seconds.
  CHECK(read({{"org.systemd.property.TimeoutStopUSec", "uint64 5"}}).front().name ==
        "TimeoutStopUSec");
  CHECK(read({{"org.systemd.property.Sec", "uint64 5"}}).front().name == "Sec");
  for (const char* text : {"'5'", "-1", "1e300", "true"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read({{"org.systemd.property.TimeoutStopSec", text}}), Error);
  }
}

TEST_CASE("a wrong annotation is named", "[systemd_property]") {
  for (const char* name : {"", "ab", "With-Dash", "Näme", "a.b"}) {
    CAPTURE(name);
    const std::string annotation = std::string("org.systemd.property.") + name;
    try {
      read({{annotation, "true"}});
      FAIL("nothing was thrown");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::spec);
      CHECK(error.field() == "/annotations/" + annotation);
      CHECK_THAT(error.message(), Catch::Contains("annotation " + annotation + "=true: "));
    }
  }
}

}  // namespace
}  // namespace tare::systemd_property
