/// linux.resources.memory (config-linux.md, "Memory"): memory.max, memory.low, memory.swap.max.
/// Read in the parent; written with the other limits by cgroup_resources.
#pragma once

#include "features/cgroup_write.hpp"
#include "spec/reader.hpp"

namespace tare::cgroup_memory {

/// Reads from the object `resources`; what is not given is as in `base`. Throws Error(spec).
void read(const spec::Reader& resources, const cgroup_resources::Base& base,
          cgroup_resources::Spec& spec);

}  // namespace tare::cgroup_memory
