/// linux.resources.blockIO (config-linux.md, "Block IO"): io.max, and io.bfq.weight where the
/// kernel has the BFQ scheduler, else io.weight. Read in the parent; written with the other limits
/// by cgroup_resources.
#pragma once

#include <cstdint>

#include "features/cgroup_write.hpp"
#include "spec/reader.hpp"

namespace tare::cgroup_io {

/// io.weight, 1 to 10000, for blockIO.weight, 10 to 1000.
std::uint64_t weight_of_blkio(std::uint64_t weight) noexcept;

/// Reads from the object `resources`. Throws Error(spec).
void read(const spec::Reader& resources, cgroup_resources::Spec& spec);

}  // namespace tare::cgroup_io
