#include "spec/utf8.hpp"

#include <catch2/catch.hpp>

namespace tare::spec {
namespace {

TEST_CASE("a text is UTF-8 or it is told where it is not", "[utf8]") {
  struct Row {
    std::string_view text;
    std::optional<std::size_t> fault;
  };
  const Row rows[] = {
      {"", {}},
      {"sixteen letters.", {}},
      {"\x7f", {}},
      {"gr\xc3\xbc\xc3\x9f Gott", {}},
      {"\xf0\x9f\x90\xb3", {}},
      {"\xff", 0},
      {"eight ..\x80", 8},
      {"a surrogate: \xed\xa0\x80", 13},
      {"overlong: \xc0\xaf", 10},
      {"beyond Unicode: \xf4\x90\x80\x80", 16},
      {"cut off \xe2\x82", 8},
      {"cut off \xf0\x9f\x90", 8},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(find_ill_formed(row.text) == row.fault);
  }
}

TEST_CASE("a text is mended where it is no UTF-8, and only there", "[utf8]") {
  CHECK(mended("").empty());
  CHECK(mended("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
  CHECK(mended("a\xff-\xfe") == "a\xef\xbf\xbd-\xef\xbf\xbd");
  CHECK(mended("\xc3(") == "\xef\xbf\xbd(");
  CHECK(mended("\xe2\x82") == "\xef\xbf\xbd\xef\xbf\xbd");
}

}  // namespace
}  // namespace tare::spec
