/// linux.resources.cpu (config-linux.md, "CPU"): cpu.idle, cpu.weight, cpu.max, cpu.max.burst and
/// cpuset.cpus and .mems. Read in the parent; written with the other limits by cgroup_resources.
#pragma once

#include <cstdint>

#include "features/cgroup_write.hpp"
#include "spec/reader.hpp"

namespace tare::cgroup_cpu {

/// cpu.weight for cpu.shares, 0 for 0 ("not set").
std::uint64_t weight_of_shares(std::uint64_t shares) noexcept;

/// Reads from the object `resources`; of quota and period the one that is not given is as in
/// `base`. Throws Error(spec).
void read(const spec::Reader& resources, const cgroup_resources::Base& base,
          cgroup_resources::Spec& spec);

}  // namespace tare::cgroup_cpu
