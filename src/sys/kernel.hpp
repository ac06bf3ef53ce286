/// Facts about the kernel and about this process, each for one call. Asked by host/probe, once.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>

namespace tare::sys {

/// The effective user of this process, in its own user namespace.
uid_t effective_user() noexcept;
/// The effective group of this process, in its own user namespace.
gid_t effective_group() noexcept;

/// Whether this process is in the user namespace that the kernel started with. Throws Error(system)
/// without procfs.
bool in_initial_user_namespace();

/// The highest capability number that the kernel knows; 40 (Linux 5.9) at least.
int last_capability() noexcept;

/// The size of a page in bytes.
std::size_t page_size() noexcept;

/// The f_type of the filesystem that `path` is on; nullopt when there is no such path.
/// Throws Error(system).
std::optional<long> find_filesystem_type(const std::string& path);

}  // namespace tare::sys
