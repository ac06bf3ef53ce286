#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "tare/runtime.hpp"

namespace tare {
namespace {

using test::Scratch;

std::string fault_of(void (*change)(const GlobalOptions&, const std::string&, const std::string&),
                     const Scratch& scratch, const std::string& file) {
  const GlobalOptions global{.root = scratch.path("root"), .root_given = true};
  try {
    change(global, "web", scratch.path(file));
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST_CASE("mounts: a file is read before a container is looked for", "[hot_mounts]") {
  const Scratch scratch;
  scratch.write("object.json", "{}");
  scratch.write("twice.json", R"([{"destination": "/a"}, {"destination": "/b/../a/"}])");
  scratch.write("good.json", R"([{"destination": "/a", "type": "tmpfs"}])");
  for (const auto change : {add_mounts, remove_mounts}) {
    CHECK(fault_of(change, scratch, "object.json").find("expected an array") != std::string::npos);
    CHECK(fault_of(change, scratch, "none.json").find("no such file") != std::string::npos);
    CHECK(fault_of(change, scratch, "good.json") == "container does not exist");
  }
  CHECK(fault_of(remove_mounts, scratch, "twice.json") == "\"/a\" is named twice");
}

}  // namespace
}  // namespace tare
