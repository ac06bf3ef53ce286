/// What resctrl tells of a container's group, for `events`: its share of the last-level cache and
/// of memory bandwidth, and what is monitored of them (Linux,
/// Documentation/filesystems/resctrl.rst). Read in the process of the command whenever it is asked
/// for; nothing is changed.
#pragma once

#include <string>

#include "host/host.hpp"
#include "tare/record.hpp"

namespace tare::intel_rdt_stats {

/// The object `intel_rdt` of an event `stats`, as JSON in the schema of runc; "{}" for a container
/// without a group. Without a monitoring group of the container's own, what is monitored is that of
/// its class, as with runc. Throws Error(system) where a file cannot be read.
std::string as_json(const ResctrlGroup& group, const ResctrlLayout& resctrl);

}  // namespace tare::intel_rdt_stats
