/// linux.resources.pids (config-linux.md, "PIDs"): pids.max. Read in the parent; written with the
/// other limits by cgroup_resources.
#pragma once

#include <string_view>

#include "features/cgroup_write.hpp"
#include "spec/reader.hpp"

namespace tare::cgroup_pids {

/// What a pids.limit of 0 says. Version 1.3 of the specification made it a limit like any other;
/// callers that write an older version (podman 4 for `--pids-limit -1`) mean by it that there is
/// none.
enum class Zero { limit, no_limit };
/// By the config's ociVersion.
Zero zero_of(std::string_view oci_version) noexcept;

/// Reads from the object `resources`. Throws Error(spec).
void read(const spec::Reader& resources, Zero zero, cgroup_resources::Spec& spec);

}  // namespace tare::cgroup_pids
