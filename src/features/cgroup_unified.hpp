/// linux.resources.unified (config-linux.md, "Unified"): any file of a controller by its own name,
/// misc.max and memory.oom.group among them.
/// Read in the parent; written with the other limits by cgroup_resources.
#pragma once

#include "features/cgroup_write.hpp"
#include "spec/reader.hpp"

namespace tare::cgroup_unified {

/// Reads from the object `resources`. Throws Error(spec).
void read(const spec::Reader& resources, cgroup_resources::Spec& spec);

}  // namespace tare::cgroup_unified
