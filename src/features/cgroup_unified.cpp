#include "features/cgroup_unified.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace tare::cgroup_unified {
namespace {

using spec::Reader;

// Files of a cgroup that are no limits: to set one here would kill, stop or move processes, or pass
// controllers on from a cgroup that is about to hold a process.
constexpr std::string_view kNoLimits[] = {"cgroup.freeze",  "cgroup.kill",
                                          "cgroup.procs",   "cgroup.subtree_control",
                                          "cgroup.threads", "cgroup.type"};

}  // namespace

void read(const Reader& resources, cgroup_resources::Spec& spec) {
  const std::optional<Reader> unified = resources.find("unified");
  if (!unified) return;
  for (const auto& [file, value] : unified->members()) {
    if (file.find('/') != std::string::npos) {
      throw value.error(
          fmt::format("unified resource \"{}\" must be a file name (no slashes)", file));
    }
    const std::size_t dot = file.find('.');
    if (dot == 0 || dot == std::string::npos) {
      throw value.error(
          fmt::format("unified resource \"{}\" must be in the form CONTROLLER.PARAMETER", file));
    }
    if (std::ranges::find(kNoLimits, file) != std::end(kNoLimits)) {
      throw value.error(fmt::format("unified resource \"{}\" is no limit", file));
    }
    add(spec, file, value.string(), value.pointer());
  }
}

}  // namespace tare::cgroup_unified
