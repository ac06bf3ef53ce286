#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "features/capabilities.hpp"
#include "features/mount_options.hpp"
#include "tare/runtime.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using nlohmann::json;

namespace {

bool has(const json& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

TEST_CASE("features document: what containerd looks for is where it looks", "[features]") {
  const json document = json::parse(features_document());
  // RecursiveReadOnlyMounts and UserNamespaces of containerd's CRI plugin.
  CHECK(has(document.at("mountOptions"), "rro"));
  CHECK(has(document.at("linux").at("namespaces"), "user"));
  CHECK(document.at("linux").at("mountExtensions").at("idmap").at("enabled") == true);
}

TEST_CASE("features document: its words are the ones that the features read", "[features]") {
  const json document = json::parse(features_document());
  CHECK(document.at("mountOptions").get<std::vector<std::string>>() ==
        mount_options::known_options());
  CHECK(document.at("linux").at("capabilities").get<std::vector<std::string>>() ==
        capabilities::known_names());
  const json& seccomp = document.at("linux").at("seccomp");
  CHECK(has(seccomp.at("actions"), "SCMP_ACT_ERRNO"));
  CHECK(has(seccomp.at("archs"), "SCMP_ARCH_X86_64"));
  CHECK(has(seccomp.at("operators"), "SCMP_CMP_MASKED_EQ"));
}

TEST_CASE("features document: all six hooks and all eight namespaces are named once each",
          "[features]") {
  const json document = json::parse(features_document());
  const auto hooks = document.at("hooks").get<std::set<std::string>>();
  CHECK(hooks == std::set<std::string>{"prestart", "createRuntime", "createContainer",
                                       "startContainer", "poststart", "poststop"});
  CHECK(document.at("linux").at("namespaces").get<std::set<std::string>>().size() == 8);
  CHECK(document.at("linux").at("namespaces").size() == 8);
}

TEST_CASE("features document: what this version refuses it does not claim", "[features]") {
  const json document = json::parse(features_document());
  const json& linux_part = document.at("linux");
  for (const char* member : {"enabled", "schemata", "monitoring"}) {
    CHECK(linux_part.at("intelRdt").at(member) == true);
  }
  CHECK(linux_part.at("netDevices").at("enabled") == true);
  CHECK(linux_part.at("cgroup").at("v2") == true);
  CHECK(linux_part.at("cgroup").at("v1") == false);
  CHECK(linux_part.at("cgroup").at("systemd") == true);
}
