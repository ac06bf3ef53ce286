#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "../../scratch.hpp"
#include "tare/runtime.hpp"

namespace tare {
namespace {

using nlohmann::json;
using test::Scratch;

std::string explained(const Scratch& scratch, bool as_json) {
  scratch.write("config.json", R"({
    "ociVersion": "1.2.0", "hostname": "box", "unknown": 1,
    "root": {"path": "rootfs"},
    "process": {"args": ["sh"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
    "linux": {"namespaces": [{"type": "mount"}, {"type": "uts"}]}
  })");
  return explain({.global = {.cgroup_disabled = true}, .id = "web", .bundle = scratch.path()},
                 as_json);
}

TEST_CASE("an explanation is a line for each effect, with the field that asks for it",
          "[explain]") {
  const Scratch scratch;
  const std::string text = explained(scratch, false);
  CHECK_THAT(text, Catch::Contains("hostname") && Catch::Contains("(/hostname)\n"));
  CHECK_THAT(text, Catch::Contains("not known, or for another platform  (/unknown)\n"));
  // The features are in a column.
  std::set<std::size_t> starts;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    starts.insert(text.find_first_not_of(' ', text.find(' ', at)) - at);
  }
  CHECK(starts.size() == 1);
}

TEST_CASE("as JSON an explanation has the same effects in the same order", "[explain]") {
  const Scratch scratch;
  const std::string text = explained(scratch, false);
  std::string::size_type at = 0;
  const json effects = json::parse(explained(scratch, true));
  REQUIRE(!effects.empty());
  for (const json& effect : effects) {
    const std::size_t found = text.find(effect["effect"].get<std::string>(), at);
    CAPTURE(effect.dump());
    REQUIRE(found != std::string::npos);
    at = found;
  }
  CHECK(effects.back()["feature"] == "ignored");
  CHECK(effects.back()["field"] == "/unknown");
}

TEST_CASE("nothing is explained of a bundle that cannot be planned", "[explain]") {
  const Scratch scratch;
  CHECK_THROWS_WITH(explain({.id = "web", .bundle = scratch.path()}, false),
                    Catch::Contains("config.json not found"));
}

}  // namespace
}  // namespace tare
