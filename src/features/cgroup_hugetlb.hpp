/// linux.resources.hugepageLimits (config-linux.md, "Huge page limits"): hugetlb.SIZE.max, what may
/// be used, and hugetlb.SIZE.rsvd.max, what may be reserved. Read in the parent; written with the
/// other limits by cgroup_resources.
#pragma once

#include "features/cgroup_write.hpp"
#include "spec/reader.hpp"

namespace tare::cgroup_hugetlb {

/// Reads from the object `resources`. Throws Error(spec).
void read(const spec::Reader& resources, cgroup_resources::Spec& spec);

}  // namespace tare::cgroup_hugetlb
