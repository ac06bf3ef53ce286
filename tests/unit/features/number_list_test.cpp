#include "features/number_list.hpp"

#include <catch2/catch.hpp>

namespace tare::number_list {
namespace {

sys::NumberMask read_text(const std::string& list, unsigned highest = 65'535) {
  const spec::Document document("config.json", R"({"list": ")" + list + "\"}");
  return read(document.top().at("list"), "bad list", highest);
}

TEST_CASE("a list of numbers is the mask that the kernel takes", "[number_list]") {
  CHECK(read_text("0") == sys::NumberMask{1});
  CHECK(read_text("0-3,7") == sys::NumberMask{0x8f});
  CHECK(read_text("64") == sys::NumberMask{0, 1});
  CHECK(read_text("62-65") == sys::NumberMask{3UL << 62U, 3});
  CHECK(read_text("2000").size() == 32);
  CHECK(read_text("65535").size() == 1024);
}

TEST_CASE("spaces around numbers and commas too many do no harm, as with runc", "[number_list]") {
  CHECK(read_text(" 1 ,, 3-4 ,") == sys::NumberMask{0x1a});
  CHECK(read_text("") == sys::NumberMask{});
}

TEST_CASE("numbers in any order and more than once are one set", "[number_list]") {
  CHECK(read_text("7,0-3,2-5,0") == sys::NumberMask{0xbf});
}

TEST_CASE("what is no list of numbers is refused by its name and quoted", "[number_list]") {
  const std::string bad = GENERATE(as<std::string>(), "x", "-", "-1", "1-", "3-2", "1--2", "1-2-3",
                                   "0x1", "1.5", "+1", "1 2", "1;2", ",", " ", "0-3:1/2", "65536",
                                   "0-99999999999999999999", "18446744073709551616", "all");
  CAPTURE(bad);
  try {
    read_text(bad);
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    CHECK(error.field() == "/list");
    CHECK_THAT(error.message(), Catch::Contains("bad list \"" + bad + "\""));
  }
}

TEST_CASE("a number above the highest is refused, however far", "[number_list]") {
  CHECK(read_text("3", 3) == sys::NumberMask{8});
  CHECK_THROWS_AS(read_text("4", 3), Error);
  CHECK_THROWS_AS(read_text("0-4294967295", 3), Error);
}

TEST_CASE("a mask is shown as the shortest list that reads as itself", "[number_list]") {
  for (const std::string list : {"0", "0-3,7", "63-64", "5,2000-2003,65535", ""}) {
    CHECK(shown(read_text(list)) == list);
  }
  CHECK(shown(read_text("3,1,2,0")) == "0-3");
}

TEST_CASE("the members of a mask are counted over all its words", "[number_list]") {
  CHECK(count({}) == 0);
  CHECK(count(read_text("0-7")) == 8);
  CHECK(count(read_text("0,64,128-130")) == 5);
}

}  // namespace
}  // namespace tare::number_list
