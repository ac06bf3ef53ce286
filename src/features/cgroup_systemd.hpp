/// The systemd driver (--systemd-cgroup): the container's cgroup is a transient scope that systemd
/// makes, with the limits as properties, so that systemd's own view of them is right and a
/// daemon-reload takes none back (org.freedesktop.systemd1(5), systemd.resource-control(5)). Called
/// by the parent; everything that systemd does not know is written through cgroupfs afterwards.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "features/cgroup_devices.hpp"
#include "features/cgroup_resources.hpp"
#include "features/explain.hpp"
#include "features/systemd_property.hpp"
#include "features/systemd_unit.hpp"

namespace tare::cgroup_systemd {

using systemd_property::Property;

struct Plan {
  systemd_unit::Unit unit{};           ///< no name: the cgroupfs driver
  std::string path{};                  ///< where systemd will put it, below the mount point
  std::vector<Property> properties{};  ///< without PIDs, in the order in which they are sent
  bool operator==(const Plan&) const = default;
  bool enabled() const noexcept { return !unit.name.empty(); }
};

/// What the driver needs to know of other features' decisions.
struct Context {
  const std::string& id;
  const std::map<std::string, std::string>& annotations;
  const cgroup_resources::Plan& resources;
  const cgroup_devices::Plan& devices;
};

/// The limits as properties; what has none is left to cgroupfs. Pure. Throws Error(spec).
std::vector<Property> properties_of(const std::vector<cgroup_resources::Write>& writes);
/// The device rules as properties, or as none where systemd cannot say the same: then it filters
/// nothing and our own program alone decides. Pure.
std::vector<Property> properties_of(const cgroup_devices::Plan& devices);
/// systemd keeps a quota in whole hundredths of a CPU: the same for cgroupfs, so that the two do
/// not take turns. Pure.
std::vector<cgroup_resources::Write> rounded(std::vector<cgroup_resources::Write> writes);

/// Decides the scope; `unit` is the one that the cgroup was planned with. Pure. Throws Error(spec).
Plan plan(const systemd_unit::Unit& unit, const std::string& path, const Context& context);

/// Makes the scope around the process `pid` and waits until systemd says that it is there. A
/// leftover that has failed is cleared first. Throws Error(system): no systemd, an answer that is
/// an error, none in time, or a cgroup elsewhere than planned.
void apply_in_parent(const Plan& plan, pid_t pid);
/// Changes the scope of a running container. Throws Error(system).
void set_properties(const systemd_unit::Unit& unit, const std::vector<Property>& properties);
/// Moves a process into the scope, or a cgroup below it, where the kernel does not let the caller
/// do so itself. Throws Error(system).
void attach(const systemd_unit::Unit& unit, const std::string& inner, pid_t pid);
/// Stops the scope, waits until it is gone, and clears its failure if it had one; no scope is no
/// error. Throws Error(system).
void stop(const systemd_unit::Unit& unit);

/// One effect for the scope, and one for each property that was asked for.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::cgroup_systemd
