#include "stages/bundle.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../../scratch.hpp"

namespace tare::stages {
namespace {

using nlohmann::json;
using test::Scratch;

json small_config() {
  return json::parse(R"({
    "ociVersion": "1.2.0",
    "root": {"path": "rootfs"},
    "process": {"args": ["sh"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
    "annotations": {"org.example.name": "web"},
    "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "user"}],
              "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
              "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}
  })");
}

Bundle load(const Scratch& scratch) {
  return load_bundle({.global = {.cgroup_disabled = true}, .id = "web", .bundle = scratch.path()});
}

TEST_CASE("a bundle gives its plan, and what later commands want to know of it", "[bundle]") {
  const Scratch scratch;
  scratch.write("config.json", small_config().dump());
  const Bundle bundle = load(scratch);
  CHECK(bundle.oci_version == "1.2.0");
  CHECK(bundle.annotations == std::map<std::string, std::string>{{"org.example.name", "web"}});
  CHECK(json::parse(bundle.process) == small_config()["process"]);
  CHECK(bundle.plan.rootfs.path == scratch.path("rootfs"));
  CHECK(bundle.plan.process.environment.arguments == std::vector<std::string>{"sh"});
  CHECK_FALSE(bundle.plan.cgroup.enabled());
}

TEST_CASE("the same bundle comes to the same plan", "[bundle]") {
  const Scratch scratch;
  scratch.write("config.json", small_config().dump());
  CHECK(load(scratch).plan == load(scratch).plan);
}

TEST_CASE("loading a bundle touches nothing in it", "[bundle]") {
  const Scratch scratch;
  scratch.write("config.json", small_config().dump());
  load(scratch);
  CHECK(sys::list_directory(scratch.fd()) == std::vector<std::string>{"config.json"});
}

TEST_CASE("a bundle without a config is told in runc's words, with a way out", "[bundle]") {
  const Scratch scratch;
  try {
    load(scratch);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.message() == "JSON specification file " + scratch.path("config.json") +
                                 " not found: no such file or directory");
    CHECK_FALSE(error.hint().empty());
    CHECK(error.kind() == ErrorKind::spec);
  }
}

TEST_CASE("a bundle that is none is an error, and a FIFO holds nobody", "[bundle]") {
  const Scratch scratch;
  SECTION("a FIFO") {
    REQUIRE(sys::make_node(scratch.fd(), "config.json", S_IFIFO | 0600, 0));
    CHECK_THROWS_WITH(load(scratch), scratch.path("config.json") + ": not a regular file");
  }
  SECTION("a directory") {
    REQUIRE(sys::make_directory(scratch.fd(), "config.json", 0700));
    CHECK_THROWS_WITH(load(scratch), scratch.path("config.json") + ": not a regular file");
  }
  SECTION("a device") {
    REQUIRE(sys::make_symlink("/dev/zero", scratch.fd(), "config.json"));
    CHECK_THROWS_WITH(load(scratch), scratch.path("config.json") + ": not a regular file");
  }
  SECTION("nothing in the file") {
    scratch.write("config.json", "");
    CHECK_THROWS_WITH(load(scratch), Catch::StartsWith("config.json: line 1, column 1: "));
  }
  SECTION("a file without end") {
    scratch.write("config.json", "");
    REQUIRE(::truncate(scratch.path("config.json").c_str(), 1L << 40) == 0);
    CHECK_THROWS_WITH(load(scratch), Catch::Contains("more than 16777216 bytes"));
  }
}

TEST_CASE("a fault of the config is told by its place", "[bundle]") {
  const Scratch scratch;
  json config = small_config();
  config["process"]["args"] = json::array();
  scratch.write("config.json", config.dump());
  try {
    load(scratch);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    CHECK_THAT(error.field(), Catch::StartsWith("/process"));
  }
}

}  // namespace
}  // namespace tare::stages
