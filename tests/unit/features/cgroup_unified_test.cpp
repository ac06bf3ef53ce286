#include "features/cgroup_unified.hpp"

#include <catch2/catch.hpp>

namespace tare::cgroup_unified {
namespace {

using cgroup_resources::Spec;

Spec read_text(const std::string& resources) {
  const spec::Document document("resources", resources);
  Spec spec;
  read(document.top(), spec);
  return spec;
}

Error read_error(const std::string& resources) {
  try {
    read_text(resources);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing was wrong");
}

TEST_CASE("unified values go to the files they name", "[cgroup_unified]") {
  const Spec spec = read_text(R"({"unified": {"io.max": "8:0 riops=1\n8:1 wiops=2\n",
                                              "cgroup.max.depth": "3"}})");
  CHECK(spec.writes ==
        std::vector<cgroup_resources::Write>{
            {.file = "cgroup.max.depth", .value = "3", .pointer = "/unified/cgroup.max.depth"},
            {.controller = "io",
             .file = "io.max",
             .value = "8:0 riops=1\n8:1 wiops=2\n",
             .pointer = "/unified/io.max"}});
}

TEST_CASE("unified names nothing but limits of this cgroup", "[cgroup_unified]") {
  CHECK(read_error(R"({"unified": {"a/memory.max": "1"}})")
            .message()
            .find("unified resource \"a/memory.max\" must be a file name (no slashes)") !=
        std::string::npos);
  CHECK(read_error(R"({"unified": {"../x": "1"}})").message().find("no slashes") !=
        std::string::npos);
  for (const char* name : {"memory", "..", ".", ".max"}) {
    CHECK(read_error(std::string(R"({"unified": {")") + name + R"(": "1"}})")
              .message()
              .find("must be in the form CONTROLLER.PARAMETER") != std::string::npos);
  }
  for (const char* name :
       {"cgroup.procs", "cgroup.kill", "cgroup.freeze", "cgroup.type", "cgroup.subtree_control"}) {
    CHECK(read_error(std::string(R"({"unified": {")") + name + R"(": "1"}})")
              .message()
              .find("is no limit") != std::string::npos);
  }
}

}  // namespace
}  // namespace tare::cgroup_unified
