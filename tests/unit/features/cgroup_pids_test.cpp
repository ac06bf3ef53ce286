#include "features/cgroup_pids.hpp"

#include <catch2/catch.hpp>

namespace tare::cgroup_pids {
namespace {

using cgroup_resources::Spec;

Spec read_text(const std::string& resources) {
  const spec::Document document("resources", resources);
  Spec spec;
  read(document.top(), Zero::limit, spec);
  return spec;
}

// "memory.max=1; memory.low=2": what would be written, in its order.
std::string writes(const std::string& resources) {
  std::string text;
  for (const cgroup_resources::Write& write : read_text(resources).writes) {
    text += (text.empty() ? "" : "; ") + write.file + "=" + write.value;
  }
  return text;
}

TEST_CASE("pids: absent is unset, 0 is 1, and less is no limit", "[cgroup_pids]") {
  CHECK(writes(R"({"pids": {}})").empty());
  CHECK(writes(R"({"pids": {"limit": null}})").empty());
  CHECK(writes(R"({"pids": {"limit": 0}})") == "pids.max=1");
  CHECK(writes(R"({"pids": {"limit": 32}})") == "pids.max=32");
  CHECK(writes(R"({"pids": {"limit": -1}})") == "pids.max=max");
}

TEST_CASE("a pids limit of 0 is none in a config older than version 1.3", "[cgroup_pids]") {
  const spec::Document document("resources", R"({"pids": {"limit": 0}})");
  const auto count = [&](std::string_view version) {
    Spec spec;
    read(document.top(), zero_of(version), spec);
    return spec.writes.size();
  };
  CHECK(count("1.0.2-dev") == 0);
  CHECK(count("1.2.1") == 0);
  CHECK(count("1.3.0") == 1);
  CHECK(count("1.10.0") == 1);
}

}  // namespace
}  // namespace tare::cgroup_pids
