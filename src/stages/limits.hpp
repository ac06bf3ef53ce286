/// Which limit a start ran into, found once it has failed: the kernel says no more than SIGKILL,
/// EAGAIN or ENOSPC. Acts in the parent, and reads files only after a failure (cgroup-v2.rst,
/// "memory.events", "pids.max"; namespaces(7), "The /proc/sys/user directory").
#pragma once

#include <cstdint>
#include <string>

#include "tare/error.hpp"

namespace tare::stages {

/// Whether the kernel has killed a process of the cgroup for want of memory.
bool was_out_of_memory(const std::string& cgroup_directory);

/// Whether what the kernel counted of this cgroup's memory is gone, with the cgroup or ahead of it:
/// systemd removes a scope with its last process. False where memory was never counted there.
bool has_lost_its_counts(const std::string& cgroup_directory);

/// The limit of memory that was hit, as "memory.max of /sys/fs/cgroup/x is 65536": that of the
/// cgroup, or of one above it. Empty where none of them was hit.
std::string memory_limit_of(const std::string& cgroup_directory);

/// Adds to the error of a clone3 that failed the limit that is behind it, where there is one that
/// can be read: of processes in the cgroup or above it (EAGAIN), of namespaces (ENOSPC), or a kind
/// of cgroup that holds no processes (EOPNOTSUPP).
/// `namespaces` are CLONE_NEW* flags.
void name_limit_of_clone(Error& error, const std::string& cgroup_directory,
                         std::uint64_t namespaces);

}  // namespace tare::stages
