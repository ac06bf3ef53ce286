#include "features/all.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "tare/error.hpp"

namespace tare {
namespace {

using nlohmann::json;

// What a container of Docker's shape asks for, in small.
json whole_config() {
  return json::parse(R"({
    "ociVersion": "1.2.0",
    "hostname": "web",
    "root": {"path": "rootfs", "readonly": true},
    "annotations": {"org.example": "x"},
    "process": {
      "args": ["sh", "-c", "true"], "cwd": "/", "env": ["PATH=/bin"],
      "user": {"uid": 0, "gid": 0, "additionalGids": [1]},
      "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"],
                       "permitted": ["CAP_KILL"]},
      "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}],
      "noNewPrivileges": true, "oomScoreAdj": 0
    },
    "mounts": [
      {"destination": "/proc", "type": "proc", "source": "proc"},
      {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}
    ],
    "linux": {
      "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
                     {"type": "network"}, {"type": "cgroup"}],
      "resources": {"memory": {"limit": 67108864}, "pids": {"limit": 100},
                    "devices": [{"allow": false, "access": "rwm"}]},
      "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
      "sysctl": {"net.ipv4.ip_forward": "1"},
      "cgroupsPath": "/test/web",
      "seccomp": {"defaultAction": "SCMP_ACT_ERRNO",
                  "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"}]}
    }
  })");
}

Host host_with_everything() {
  Host host;
  host.cgroup.controllers = {"cpu", "cpuset", "io", "memory", "pids"};
  return host;
}

Spec read(const json& config) {
  const spec::Document document("config.json", config.dump());
  return read_spec(document.top());
}

Plan plan(const json& config, const PlanOptions& options) {
  return make_plan(read(config), host_with_everything(), options);
}

Plan plan(const json& config) {
  return plan(config, {.id = "web", .bundle = "/b"});
}

// The error of reading and planning, or one that says that there is none.
Error fault_of(const json& config) {
  try {
    plan(config);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "accepted");
}

TEST_CASE("a whole config is read, and every part of it is in the plan", "[all]") {
  const Plan got = plan(whole_config());
  CHECK(got.hostname.host == "web");
  CHECK(got.rootfs.path == "/b/rootfs");
  CHECK(got.rootfs.readonly);
  CHECK(got.mounts.mounts.size() == 2);
  CHECK(got.namespaces.creates(namespaces::Type::network));
  CHECK_FALSE(got.namespaces.has(namespaces::Type::user));
  CHECK(got.cgroup.directory() == "/sys/fs/cgroup/test/web");
  CHECK(got.cgroup_resources.controllers == std::vector<std::string>{"memory", "pids"});
  CHECK(got.masked_paths.masked == std::vector<std::string>{"/proc/kcore"});
  CHECK(got.process.no_new_privileges.enabled);
  CHECK(got.process.has_seccomp);
  CHECK(got.seccomp.enabled);
  CHECK(got.process.keyring.new_session);
  CHECK(got.process.credentials.additional_gids == std::vector<gid_t>{1});
  CHECK(got.process.rlimits.limits.size() == 1);
}

TEST_CASE("planning is a function: the same is given for the same", "[all]") {
  CHECK(plan(whole_config()) == plan(whole_config()));
  json other = whole_config();
  other["hostname"] = "db";
  CHECK_FALSE(plan(other) == plan(whole_config()));
}

TEST_CASE("the flags of the command line have their say", "[all]") {
  const Plan got =
      plan(whole_config(), {.id = "web", .bundle = "/b", .no_pivot = true, .no_new_keyring = true});
  CHECK(got.rootfs.no_pivot);
  CHECK_FALSE(got.process.keyring.new_session);
  json config = whole_config();
  config["linux"].erase("resources");
  const Plan without = plan(config, {.id = "web", .bundle = "/b", .cgroup_disabled = true});
  CHECK_FALSE(without.cgroup.enabled());
}

TEST_CASE("a version of the specification is taken by its major number alone", "[all]") {
  const auto [version, taken] = GENERATE(table<std::string, bool>({
      {"1.0.0", true},
      {"1.0.2-dev", true},
      {"1.2.1", true},
      {"1.99.0", true},
      {"1.0", true},
      {"2.0.0", false},
      {"0.9.0", false},
      {"10.0.0", false},
      {"1", false},
      {"", false},
      {"v1.0.0", false},
      {" 1.0.0", false},
      {"1.x", false},
      {"1.", false},
  }));
  json config = whole_config();
  config["ociVersion"] = version;
  CAPTURE(version);
  const Error fault = fault_of(config);
  CHECK((fault.message() == "accepted") == taken);
  if (!taken) {
    CHECK(fault.field() == "/ociVersion");
    CHECK(fault.message() ==
          "config.json /ociVersion: unsupported version of the specification: \"" + version + "\"");
  }
}

TEST_CASE("what the specification requires is missed by name", "[all]") {
  const auto [pointer, fault] = GENERATE(table<std::string, std::string>({
      {"/ociVersion", "config.json /ociVersion: required, but missing"},
      {"/process", "config.json /process: required, but missing"},
      {"/root", "config.json /root: required, but missing"},
      {"/root/path", "config.json /root/path: required, but missing"},
  }));
  json config = whole_config();
  const json::json_pointer at(pointer);
  config.at(at.parent_pointer()).erase(at.back());
  CHECK(fault_of(config).message() == fault);
  config[at] = nullptr;
  CHECK(fault_of(config).message() == fault);
}

TEST_CASE("a config that is no object, or whose parts are none, is refused", "[all]") {
  for (const char* text : {"[]", "\"\"", "7", "null", "true"}) {
    CAPTURE(text);
    const spec::Document document("config.json", text);
    CHECK_THROWS_AS(read_spec(document.top()), Error);
  }
  for (const char* part : {"/process", "/root", "/linux", "/annotations", "/hooks"}) {
    json config = whole_config();
    config[json::json_pointer(part)] = "text";
    CAPTURE(part);
    CHECK(fault_of(config).field() == part);
  }
  json config = whole_config();
  config["mounts"] = json::object();
  CHECK(fault_of(config).field() == "/mounts");
}

TEST_CASE("labels need a machine that has them", "[all]") {
  for (const char* pointer :
       {"/process/apparmorProfile", "/process/selinuxLabel", "/linux/mountLabel"}) {
    json config = whole_config();
    config[json::json_pointer(pointer)] = "l";
    const Error fault = fault_of(config);
    CHECK(fault.kind() == ErrorKind::unsupported);
    CHECK(fault.field() == pointer);
  }
}

TEST_CASE("a field that asks for nothing is passed over although it is not supported", "[all]") {
  json config = whole_config();
  config["process"]["apparmorProfile"] = "";
  config["process"]["selinuxLabel"] = "";
  config["process"]["scheduler"] = nullptr;
  config["linux"]["mountLabel"] = "";
  config["linux"]["intelRdt"] = json::object();
  config["linux"]["netDevices"] = json::object();
  CHECK(plan(config) == plan(whole_config()));
}

TEST_CASE("an unknown field is ignored, as the specification orders", "[all]") {
  json config = whole_config();
  config["unknown"] = {{"deep", 1}};
  config["process"]["unknown"] = true;
  config["linux"]["unknown"] = json::array({1});
  config["windows"] = {{"x", 1}};
  config["vm"] = {{"x", 1}};
  CHECK(plan(config) == plan(whole_config()));
}

TEST_CASE("an annotation without a name or with another value than a text is refused", "[all]") {
  json config = whole_config();
  config["annotations"] = {{"", "x"}};
  CHECK(fault_of(config).message() ==
        "config.json /annotations: an annotation's name must not be empty");
  config["annotations"] = {{"a", 1}};
  CHECK(fault_of(config).message() == "config.json /annotations/a: expected a string, found 1");
  config["annotations"] = {{"a", nullptr}};
  CHECK(fault_of(config).field() == "/annotations/a");
  config["annotations"] = {{"a", ""}};
  CHECK(read(config).annotations == std::map<std::string, std::string>{{"a", ""}});
  config.erase("annotations");
  CHECK(read(config).annotations.empty());
}

TEST_CASE("init begins without the host's mounts where nothing looks for them", "[all]") {
  const auto apart = [](const json& config, const PlanOptions& options = {}) {
    return plan(config, options).rootfs.apart;
  };
  CHECK(apart(whole_config()));
  CHECK_FALSE(apart(whole_config(), {.no_pivot = true}));
  Host rootless = host_with_everything();
  rootless.rootless = true;
  CHECK_FALSE(make_plan(read(whole_config()), rootless, {}).rootfs.apart);
  for (const char* stage : {"prestart", "createRuntime", "createContainer"}) {
    json config = whole_config();
    config["hooks"][stage] = {{{"path", "/bin/true"}}};
    CHECK_FALSE(apart(config));
  }
  json config = whole_config();
  config["hooks"]["startContainer"] = {{{"path", "/bin/true"}}};
  CHECK(apart(config));
  config["mounts"].push_back({{"destination", "/o"},
                              {"type", "overlay"},
                              {"source", "o"},
                              {"options", {"lowerdir=/a:/b"}}});
  CHECK_FALSE(apart(config));
}

TEST_CASE("what changes mounts is refused where the mounts are the host's", "[all]") {
  json config = whole_config();
  config["linux"]["namespaces"] = json::parse(R"([{"type": "pid"}, {"type": "network"},
    {"type": "uts"}, {"type": "ipc"}])");
  const Error fault = fault_of(config);
  CHECK(fault.kind() == ErrorKind::spec);
  CHECK_THAT(fault.message(), Catch::Contains("need a private mount namespace"));
  CHECK_THAT(fault.hint(), Catch::Contains("linux.namespaces"));
  config["mounts"] = json::array();
  config["root"]["readonly"] = false;
  CHECK(fault_of(config).message() == fault.message());
  config["linux"].erase("maskedPaths");
  config["linux"].erase("readonlyPaths");
  CHECK(fault_of(config).message() != fault.message());
}

TEST_CASE("a config without the object linux is read as one with an empty one", "[all]") {
  json without = whole_config();
  without.erase("linux");
  without["root"]["readonly"] = false;
  without["mounts"] = json::array();
  without.erase("hostname");
  json empty = without;
  empty["linux"] = json::object();
  CHECK(fault_of(without).message() == fault_of(empty).message());
}

TEST_CASE("the machine is asked only for what the config needs", "[all]") {
  json config = whole_config();
  CHECK_FALSE(questions_of(read(config), {}).own_cgroup);
  CHECK(questions_of(read(config), {}).controllers);
  config["linux"].erase("cgroupsPath");
  config["linux"].erase("resources");
  CHECK(questions_of(read(config), {}).own_cgroup);
  CHECK_FALSE(questions_of(read(config), {}).controllers);
}

TEST_CASE("every effect of a whole plan is explained, each by a feature and in words", "[all]") {
  const Explain explain = explain_all(plan(whole_config()));
  std::set<std::string_view> features;
  for (const Effect& effect : explain.effects()) {
    features.insert(effect.feature);
    CHECK_FALSE(effect.text.empty());
    CHECK((effect.field.empty() || effect.field.starts_with("/")));
  }
  for (const char* feature : {"cgroup", "namespaces", "rootfs", "mounts", "devices", "hostname",
                              "sysctl", "masked_paths", "rlimits", "capabilities", "seccomp"}) {
    CAPTURE(feature);
    CHECK(features.count(feature) == 1);
  }
}

TEST_CASE("explaining gives the effects in the order in which they take place", "[all]") {
  const Explain explain = explain_all(plan(whole_config()));
  const auto first = [&](std::string_view feature) {
    for (std::size_t at = 0; at < explain.effects().size(); ++at) {
      if (explain.effects()[at].feature == feature) return at;
    }
    return explain.effects().size();
  };
  CHECK(first("cgroup") < first("namespaces"));
  CHECK(first("namespaces") < first("rootfs"));
  CHECK(first("rootfs") < first("mounts"));
  CHECK(first("sysctl") < first("masked_paths"));
  CHECK(first("capabilities") < first("seccomp"));
}

TEST_CASE("no part of a whole config can be of another type without being noticed", "[all]") {
  // Every value below the top is replaced by one of another type: whatever reads it must say where.
  const json config = whole_config();
  const json values = config.flatten();
  for (const auto& [pointer, value] : values.items()) {
    json changed = config;
    changed[json::json_pointer(pointer)] = json::object({{"x", 1}});
    CAPTURE(pointer);
    const Error fault = fault_of(changed);
    CHECK(fault.message() != "accepted");
    CHECK(pointer.starts_with(fault.field()));
    CHECK_FALSE(fault.field().empty());
  }
}

}  // namespace
}  // namespace tare
