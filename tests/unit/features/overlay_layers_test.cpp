#include "features/overlay_layers.hpp"

#include <catch2/catch.hpp>

namespace tare::overlay_layers {
namespace {

using List = std::vector<std::string>;

List spread_out(List data) {
  spread(data);
  return data;
}

// A name that is long enough to make any list of layers too long for one value.
const std::string& filler() {
  static const std::string text = "/" + std::string(300, 'f');
  return text;
}

}  // namespace

TEST_CASE("overlay layers: what fits stays as it is", "[overlay_layers]") {
  const std::string longest = "lowerdir=" + std::string(255, 'x');
  for (const List& data :
       {List{}, List{"lowerdir=/a:/b", "upperdir=/u"}, List{longest}, List{"xino=" + filler()}}) {
    CHECK(spread_out(data) == data);
  }
}

TEST_CASE("overlay layers: each layer is an option, in its place and order", "[overlay_layers]") {
  CHECK(spread_out({"upperdir=/u", "lowerdir=/a:/b:" + filler(), "workdir=/w"}) ==
        List{"upperdir=/u", "lowerdir+=/a", "lowerdir+=/b", "lowerdir+=" + filler(), "workdir=/w"});
}

TEST_CASE("overlay layers: behind a double colon are layers of data", "[overlay_layers]") {
  CHECK(spread_out({"lowerdir=/a:" + filler() + "::/d::/e"}) ==
        List{"lowerdir+=/a", "lowerdir+=" + filler(), "datadir+=/d", "datadir+=/e"});
}

TEST_CASE("overlay layers: an escaped colon is one of the name", "[overlay_layers]") {
  CHECK(spread_out({R"(lowerdir=/a\:b:/c\\d:)" + filler()}) ==
        List{"lowerdir+=/a:b", R"(lowerdir+=/c\d)", "lowerdir+=" + filler()});
  CHECK(spread_out({"lowerdir=" + filler() + "\\"}) == List{"lowerdir+=" + filler() + "\\"});
}

}  // namespace tare::overlay_layers
