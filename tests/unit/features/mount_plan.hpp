// Planning one mount, or some, in a setting that is written out.
#pragma once

#include <linux/mount.h>
#include <linux/sched.h>

#include <catch2/catch.hpp>
#include <string>

#include "features/mounts.hpp"

namespace tare::mounts {

// What planning depends on besides the config.
struct Setting {
  namespaces::Plan namespaces{.create = CLONE_NEWNS | CLONE_NEWCGROUP};
  rootfs::Plan root{.path = "/b/rootfs"};
  std::string cgroup = "/sys/fs/cgroup/c";
  bool rootless = false;
  id_map::Plan id_map{};
};

inline Plan plan_with(const Setting& setting, const std::string& entries) {
  const spec::Document document("config.json", "{\"mounts\": [" + entries + "]}");
  return plan(read(document.top()),
              {.namespaces = setting.namespaces,
               .bundle = "/b",
               .cgroup_directory = setting.cgroup,
               .rootfs = setting.root,
               .id_map = setting.id_map},
              Host{.rootless = setting.rootless});
}

inline std::string entry(const std::string& type, const std::string& source,
                         const std::string& destination, const std::string& options = {}) {
  return R"({"type": ")" + type + R"(", "source": ")" + source + R"(", "destination": ")" +
         destination + R"(", "options": [)" + options + "]}";
}

inline Mount plan_one(const std::string& one, const Setting& setting = {}) {
  return plan_with(setting, one).mounts.at(0);
}

inline std::string refusal(const std::string& one, const Setting& setting = {}) {
  try {
    plan_with(setting, one);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    CHECK(error.field() == "/mounts/0");
    return error.message();
  }
  return "nothing was refused";
}

inline Setting in_user_namespace(std::uint64_t more = 0) {
  return {.namespaces = {.create = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUSER | more}};
}

}  // namespace tare::mounts
