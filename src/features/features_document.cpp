// What `tare features` prints: runtime-spec's features structure (features.md, features-linux.md),
// made from the same tables that the features read their words with.
#include <nlohmann/json.hpp>

#include "features/all.hpp"
#include "features/criu.hpp"
#include "features/mount_options.hpp"
#include "tare/runtime.hpp"

namespace tare {
namespace {

using Json = nlohmann::ordered_json;

constexpr hooks::Stage kStages[] = {hooks::Stage::prestart,         hooks::Stage::create_runtime,
                                    hooks::Stage::create_container, hooks::Stage::start_container,
                                    hooks::Stage::poststart,        hooks::Stage::poststop};

constexpr namespaces::Type kTypes[] = {namespaces::Type::cgroup, namespaces::Type::ipc,
                                       namespaces::Type::mount,  namespaces::Type::network,
                                       namespaces::Type::pid,    namespaces::Type::time,
                                       namespaces::Type::user,   namespaces::Type::uts};

Json seccomp_part() {
  return {
      {"enabled", true},
      {"actions", seccomp::known_actions()},
      {"operators", seccomp::known_operators()},
      {"archs", seccomp::known_architectures()},
      {"knownFlags", seccomp::known_flags()},
      {"supportedFlags", seccomp::supported_flags()},
  };
}

Json memory_policy_part() {
  return {{"modes", memory_policy::known_modes()}, {"flags", memory_policy::known_flags()}};
}

Json linux_part() {
  Json types = Json::array();
  for (const namespaces::Type type : kTypes) types.push_back(namespaces::to_string(type));
  return {
      {"namespaces", types},
      {"capabilities", capabilities::known_names()},
      {"cgroup",
       {{"v1", false}, {"v2", true}, {"systemd", true}, {"systemdUser", true}, {"rdma", true}}},
      {"seccomp", seccomp_part()},
      {"apparmor", {{"enabled", true}}},
      {"selinux", {{"enabled", true}}},
      {"memoryPolicy", memory_policy_part()},
      {"intelRdt", {{"enabled", true}, {"schemata", true}, {"monitoring", true}}},
      {"netDevices", {{"enabled", true}}},
      {"mountExtensions", {{"idmap", {{"enabled", true}}}}},
  };
}

}  // namespace

std::string features_document() {
  Json stages = Json::array();
  for (const hooks::Stage stage : kStages) stages.push_back(hooks::to_string(stage));
  const Json document = {
      {"ociVersionMin", "1.0.0"},
      {"ociVersionMax", "1.3.0"},
      {"hooks", stages},
      {"mountOptions", mount_options::known_options()},
      {"linux", linux_part()},
      {"potentiallyUnsafeConfigAnnotations", annotations::acted_on()},
      {"annotations",
       {{"org.opencontainers.runc.checkpoint.enabled", criu::find_program() ? "true" : "false"},
        {"tare.version", TARE_VERSION}}},
  };
  return document.dump(4);
}

}  // namespace tare
