#include "features/rootfs.hpp"

#include <linux/mount.h>

#include <catch2/catch.hpp>

namespace tare::rootfs {
namespace {

Spec read_text(const std::string& text) {
  const spec::Document document("config.json", text);
  return read(document.top());
}

std::string refusal(const std::string& text) {
  try {
    read_text(text);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    return error.message();
  }
  return "nothing was refused";
}

std::vector<std::string> explained(const Plan& plan) {
  Explain out;
  explain(plan, out);
  std::vector<std::string> lines;
  for (const Effect& effect : out.effects()) lines.push_back(effect.text + " " + effect.field);
  return lines;
}

}  // namespace

TEST_CASE("rootfs: a relative path starts in the bundle, and every path is cleaned", "[rootfs]") {
  const Options options{.bundle = "/run/b"};
  CHECK(plan({.path = "rootfs"}, options, {}) == Plan{.path = "/run/b/rootfs"});
  CHECK(plan({.path = "./a/../rootfs/"}, options, {}) == Plan{.path = "/run/b/rootfs"});
  CHECK(plan({.path = "/var//lib/./x/"}, options, {}) == Plan{.path = "/var/lib/x"});
  CHECK(plan({.path = "/"}, options, {}) == Plan{.path = "/"});
}

TEST_CASE("rootfs: everything that the config and the command line say is in the plan",
          "[rootfs]") {
  const Spec spec = read_text(
      R"({"root": {"path": "r", "readonly": true}, "linux": {"rootfsPropagation": "rshared"}})");
  CHECK(
      plan(spec, {.bundle = "/b", .no_pivot = true}, {}) ==
      Plan{.path = "/b/r", .readonly = true, .no_pivot = true, .propagation = MS_SHARED | MS_REC});
}

TEST_CASE("rootfs: each word of propagation is known, and no other", "[rootfs]") {
  const std::pair<const char*, std::uint64_t> words[] = {
      {"private", MS_PRIVATE},
      {"rprivate", MS_PRIVATE | MS_REC},
      {"shared", MS_SHARED},
      {"rshared", MS_SHARED | MS_REC},
      {"slave", MS_SLAVE},
      {"rslave", MS_SLAVE | MS_REC},
      {"unbindable", MS_UNBINDABLE},
      {"runbindable", MS_UNBINDABLE | MS_REC},
      {"", 0},
  };
  for (const auto& [word, flags] : words) {
    const std::string text = R"({"root": {"path": "r"}, "linux": {"rootfsPropagation": ")";
    CHECK(read_text(text + word + "\"}}").propagation == flags);
  }
  CHECK(read_text(R"({"root": {"path": "r"}})").propagation == 0);
  CHECK(refusal(R"({"root": {"path": "r"}, "linux": {"rootfsPropagation": "Private"}})")
            .find("/linux/rootfsPropagation") != std::string::npos);
}

TEST_CASE("rootfs: a config without a path is refused", "[rootfs]") {
  CHECK(refusal("{}").find("root") != std::string::npos);
  CHECK(refusal(R"({"root": {}})").find("path") != std::string::npos);
  CHECK(refusal(R"({"root": {"path": ""}})").find("must not be empty") != std::string::npos);
  CHECK(refusal(R"({"root": {"path": 3}})").find("/root/path") != std::string::npos);
}

TEST_CASE("rootfs: private is unsafe without pivot_root and refused", "[rootfs]") {
  for (const std::uint64_t flags : {MS_PRIVATE + 0, MS_PRIVATE | MS_REC}) {
    CHECK_THROWS_WITH(plan({.path = "r", .propagation = flags}, {.no_pivot = true}, {}),
                      "rootfsPropagation of [r]private is not safe without pivot_root");
    CHECK_NOTHROW(plan({.path = "r", .propagation = flags}, {}, {}));
  }
}

TEST_CASE("rootfs: clones are slaves unless the root is to be shared or private", "[rootfs]") {
  CHECK(clone_propagation({}) == (MS_SLAVE | MS_REC));
  CHECK(clone_propagation({.propagation = MS_SLAVE}) == (MS_SLAVE | MS_REC));
  CHECK(clone_propagation({.propagation = MS_UNBINDABLE}) == (MS_SLAVE | MS_REC));
  CHECK(clone_propagation({.propagation = MS_PRIVATE}) == (MS_PRIVATE | MS_REC));
  CHECK(clone_propagation({.propagation = MS_SHARED | MS_REC}) == 0);
}

TEST_CASE("rootfs: each effect is explained with its field", "[rootfs]") {
  CHECK(explained({.path = "/b/r", .readonly = true}) ==
        std::vector<std::string>{"make /b/r the root by pivot_root /root/path",
                                 "make the root private, and what is mounted below it slave ",
                                 "make the root read-only /root/readonly"});
  CHECK(explained({.path = "/b/r", .no_pivot = true, .propagation = MS_SLAVE | MS_REC}) ==
        std::vector<std::string>{"make /b/r the root by moving it over \"/\" and chroot /root/path",
                                 "make the root rslave /linux/rootfsPropagation"});
}

}  // namespace tare::rootfs
