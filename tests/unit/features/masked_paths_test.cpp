#include "features/masked_paths.hpp"

#include <catch2/catch.hpp>

namespace tare::masked_paths {
namespace {

Spec read_text(const std::string& linux_object) {
  const spec::Document document("config.json", linux_object);
  return read(document.top());
}

std::string refusal(const std::string& linux_object) {
  try {
    read_text(linux_object);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    return error.field() + " " + error.message();
  }
  return "nothing was refused";
}

}  // namespace

TEST_CASE("masked paths: both lists are read and planned in order", "[masked_paths]") {
  const Spec spec = read_text(
      R"({"maskedPaths": ["/proc/kcore", "/proc/acpi"], "readonlyPaths": ["/proc/sys"]})");
  CHECK(plan(spec, {}) == Plan{.masked = {"/proc/kcore", "/proc/acpi"}, .readonly = {"/proc/sys"}});
}

TEST_CASE("masked paths: absent, null and empty lists are nothing to do", "[masked_paths]") {
  for (const char* text : {"{}", R"({"maskedPaths": null})", R"({"readonlyPaths": []})"}) {
    CHECK(plan(read_text(text), {}) == Plan{});
  }
}

TEST_CASE("masked paths: paths are cleaned, and each is there once", "[masked_paths]") {
  CHECK(plan({.masked = {"/a//b/", "/a/./b", "/c/../a/b", "/../d"}, .readonly = {"/x", "/x/"}},
             {}) == Plan{.masked = {"/a/b", "/d"}, .readonly = {"/x"}});
}

TEST_CASE("masked paths: only absolute paths below the root are taken", "[masked_paths]") {
  CHECK(refusal(R"({"maskedPaths": ["/ok", "proc/kcore"]})")
            .starts_with("/maskedPaths/1 config.json /maskedPaths/1: must be an absolute path"));
  CHECK(refusal(R"({"readonlyPaths": ["/a/.."]})").find("must not be the root") !=
        std::string::npos);
  CHECK(refusal(R"({"maskedPaths": [""]})").find("absolute") != std::string::npos);
  CHECK(refusal(R"({"maskedPaths": "/proc"})").find("/maskedPaths") != std::string::npos);
  CHECK(refusal(R"({"readonlyPaths": [7]})").find("/readonlyPaths/0") != std::string::npos);
}

TEST_CASE("masked paths: nothing is opened where nothing is masked", "[masked_paths]") {
  CHECK_FALSE(open_source({}));
  CHECK_FALSE(open_source({.readonly = {"/proc/sys"}}));
}

TEST_CASE("masked paths: each is explained, read-only ones first as they are applied",
          "[masked_paths]") {
  Explain out;
  explain({.masked = {"/m"}, .readonly = {"/r"}}, out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text == "make /r read-only, where it exists");
  CHECK(out.effects()[0].field == "/linux/readonlyPaths");
  CHECK(out.effects()[1].text == "hide /m, where it exists");
  CHECK(out.effects()[1].field == "/linux/maskedPaths");
}

}  // namespace tare::masked_paths
