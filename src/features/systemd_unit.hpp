/// linux.cgroupsPath as the systemd driver reads it, "slice:prefix:name": which unit is the
/// container's, in which slice, and where systemd therefore puts its cgroup (systemd.slice(5),
/// systemd.scope(5)). Read with `cgroup`, which plans the path; acted on by `cgroup_systemd`.
#pragma once

#include <string>
#include <string_view>

#include "host/host.hpp"

namespace tare::systemd_unit {

struct Unit {
  std::string name{};   ///< "tare-web.scope"; empty with the cgroupfs driver
  std::string slice{};  ///< "system.slice"
  bool user = false;    ///< of the caller's own systemd, not of the system's
  bool operator==(const Unit&) const = default;
};

/// The unit that `cgroups_path` names for the container `id`. Throws Error(spec).
Unit unit_of(const std::string& cgroups_path, const std::string& id, const Host& host);

/// "/a.slice/a-b.slice" for "a-b.slice", and "" for "-.slice". Throws Error(spec) for what is no
/// name of a slice.
std::string expand_slice(std::string_view slice);

/// The cgroup, below the mount point, that systemd gives the unit: for one of the user, below the
/// cgroup of the user's manager, which is found from this process's own. Throws Error(spec or
/// unsupported).
std::string path_of(const Unit& unit, const Host& host);

}  // namespace tare::systemd_unit
