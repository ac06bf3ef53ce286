/// linux.resources.rdma (config-linux.md, "RDMA"): a line of rdma.max for each device.
/// Read in the parent; written with the other limits by cgroup_resources.
#pragma once

#include "features/cgroup_write.hpp"
#include "spec/reader.hpp"

namespace tare::cgroup_rdma {

/// Reads from the object `resources`. Throws Error(spec).
void read(const spec::Reader& resources, cgroup_resources::Spec& spec);

}  // namespace tare::cgroup_rdma
