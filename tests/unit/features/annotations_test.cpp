#include "features/annotations.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

namespace tare::annotations {
namespace {

std::map<std::string, std::string> read_text(const std::string& text) {
  const spec::Document document("config.json", text);
  return read(document.top());
}

TEST_CASE("annotations: they are kept as they are, the unknown ones too", "[annotations]") {
  CHECK(read_text("{}").empty());
  CHECK(read_text(R"({"annotations": null})").empty());
  CHECK(read_text(R"({"annotations": {"a": "", "run.oci.nobody": "x", "b/c": "\"\n"}})") ==
        std::map<std::string, std::string>{{"a", ""}, {"run.oci.nobody", "x"}, {"b/c", "\"\n"}});
}

TEST_CASE("annotations: wrong ones are refused with their pointer", "[annotations]") {
  for (const char* text :
       {R"({"annotations": []})", R"({"annotations": {"": "x"}})", R"({"annotations": {"a": 1}})",
        R"({"annotations": {"a": {}}})", R"({"annotations": {"a\u0000": "x"}})"}) {
    INFO(text);
    try {
      read_text(text);
      FAIL("was taken");
    } catch (const Error& error) {
      CHECK(error.field().starts_with("/annotations"));
    }
  }
}

TEST_CASE("annotations: what cannot be done is refused by name", "[annotations]") {
  for (const std::string name : {"run.oci.seccomp.plugins", "run.oci.systemd.force_cgroup_v1"}) {
    INFO(name);
    try {
      read_text(R"({"annotations": {")" + name + R"(": "x"}})");
      FAIL("was taken");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::unsupported);
      CHECK(error.field() == "/annotations/" + name);
    }
    CHECK(read_text(R"({"annotations": {")" + name + R"(": ""}})").size() == 1);
  }
}

TEST_CASE("annotations: those that are acted on are listed in order", "[annotations]") {
  const std::vector<std::string> names = acted_on();
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK(std::find(names.begin(), names.end(), "run.oci.handler") != names.end());
}

}  // namespace
}  // namespace tare::annotations
