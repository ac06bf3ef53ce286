#include "spec/example.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using nlohmann::json;
using tare::spec::example;

namespace {

std::vector<std::string> namespaces(const json& config) {
  std::vector<std::string> types;
  for (const json& entry : config["linux"]["namespaces"]) types.push_back(entry["type"]);
  return types;
}

json mount_at(const json& config, const std::string& destination) {
  for (const json& mount : config["mounts"]) {
    if (mount["destination"] == destination) return mount;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("example: the text is indented by tabs and begins with the version", "[example]") {
  const std::string text = example(false, 0, 0);
  CHECK(text.find("{\n\t\"ociVersion\": \"1.3.0\",\n\t\"process\": {\n\t\t\"terminal\": true,") ==
        0);
  CHECK(text.substr(text.size() - 2) == "}\n");
  CHECK(text.find("  ") == std::string::npos);
}

TEST_CASE("example: it is a shell in a terminal on a root that cannot be written to", "[example]") {
  const json config = json::parse(example(false, 0, 0));
  CHECK(config["process"]["args"] == json{"sh"});
  CHECK(config["process"]["terminal"] == true);
  CHECK(config["process"]["noNewPrivileges"] == true);
  CHECK(config["root"] == json{{"path", "rootfs"}, {"readonly", true}});
  CHECK(config["linux"]["resources"]["devices"] ==
        json::array({{{"allow", false}, {"access", "rwm"}}}));
  CHECK(namespaces(config) ==
        std::vector<std::string>{"pid", "network", "ipc", "uts", "mount", "cgroup"});
  CHECK(mount_at(config, "/sys")["type"] == "sysfs");
  CHECK(mount_at(config, "/dev/pts")["options"].back() == "gid=5");
}

TEST_CASE("example: kernel paths are hidden as by runc", "[example]") {
  const json config = json::parse(example(false, 0, 0));
  CHECK(config["linux"]["maskedPaths"].size() == 10);
  CHECK(config["linux"]["readonlyPaths"].size() == 5);
  for (const json& path : config["linux"]["maskedPaths"]) CHECK(path.get<std::string>()[0] == '/');
}

TEST_CASE("example: a user gets a user namespace with itself as root", "[example]") {
  const json config = json::parse(example(true, 1000, 100));
  CHECK(namespaces(config) ==
        std::vector<std::string>{"pid", "ipc", "uts", "mount", "cgroup", "user"});
  CHECK(config["linux"]["uidMappings"] ==
        json::array({{{"containerID", 0}, {"hostID", 1000}, {"size", 1}}}));
  CHECK(config["linux"]["gidMappings"] ==
        json::array({{{"containerID", 0}, {"hostID", 100}, {"size", 1}}}));
}

TEST_CASE("example: a user gets nothing that a user cannot set up", "[example]") {
  const json config = json::parse(example(true, 1000, 1000));
  CHECK_FALSE(config["linux"].contains("resources"));
  CHECK(mount_at(config, "/sys")["type"] == "none");
  CHECK(mount_at(config, "/sys")["options"].front() == "rbind");
  for (const json& mount : config["mounts"]) {
    for (const json& option : mount.value("options", json::array())) {
      CHECK(option.get<std::string>().find("gid=") != 0);
    }
  }
}
