#include "features/terminal.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>

#include "sys/file.hpp"

namespace tare::terminal {
namespace {

Plan plan_text(const std::string& text) {
  const spec::Document document("config.json", text);
  return plan(read(document.top()));
}

TEST_CASE("a process has no terminal unless it asks", "[terminal]") {
  CHECK(plan_text("{}") == Plan{});
  CHECK(plan_text(R"({"terminal": false})") == Plan{});
  CHECK(plan_text(R"({"terminal": true})") == Plan{.enabled = true});
}

TEST_CASE("the size of the console is planned", "[terminal]") {
  CHECK(plan_text(R"({"terminal": true, "consoleSize": {"height": 24, "width": 80}})") ==
        Plan{.enabled = true, .rows = 24, .columns = 80});
  CHECK(plan_text(R"({"terminal": true, "consoleSize": {"height": 65535, "width": 1}})") ==
        Plan{.enabled = true, .rows = 65535, .columns = 1});
}

TEST_CASE("a size without rows or columns is left to the caller", "[terminal]") {
  CHECK(plan_text(R"({"terminal": true, "consoleSize": {"height": 0, "width": 80}})") ==
        Plan{.enabled = true});
}

TEST_CASE("without a terminal its size is ignored, whatever it is", "[terminal]") {
  CHECK(plan_text(R"({"consoleSize": {"height": "tall"}})") == Plan{});
}

TEST_CASE("a size that no terminal can have is refused with its field", "[terminal]") {
  const auto [size, words] = GENERATE(table<std::string, std::string>({
      {R"({"height": 65536, "width": 1})", "/consoleSize/height: 65536 is not within 0 and 65535"},
      {R"({"height": -1, "width": 1})", "/consoleSize/height: -1 is not within 0 and 65535"},
      {R"({"height": 1})", "/consoleSize/width: required, but missing"},
      {R"({"height": "1", "width": 1})", "/consoleSize/height: expected a whole number"},
  }));
  CHECK_THROWS_WITH(plan_text(R"({"terminal": true, "consoleSize": )" + size + "}"),
                    Catch::Contains(words));
}

TEST_CASE("a terminal comes from a devpts only", "[terminal]") {
  const sys::Root root(sys::open_at(sys::FdRef::cwd(), "/", O_PATH | O_DIRECTORY));
  const sys::Fd other = sys::open_at(sys::FdRef::cwd(), "/dev", O_PATH | O_DIRECTORY);
  CHECK_THROWS_WITH(open({.enabled = true}, root, other),
                    "/dev/pts is no devpts, from which the terminal could come");
}

TEST_CASE("a terminal is explained with what is done with it", "[terminal]") {
  Explain effects;
  explain(Plan{}, effects);
  CHECK(effects.effects().empty());
  explain({.enabled = true, .rows = 24, .columns = 80}, effects);
  REQUIRE(effects.effects().size() == 2);
  CHECK(effects.effects()[0].field == "/process/terminal");
  CHECK(effects.effects()[1].text == "make it 80 columns by 24 rows");
  CHECK(effects.effects()[1].field == "/process/consoleSize");
}

}  // namespace
}  // namespace tare::terminal
