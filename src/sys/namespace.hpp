/// Namespaces by the files that stand for them (ioctl_ns(2), namespaces(7)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sys/fd.hpp"

namespace tare::sys {

/// The namespace that `path` names, opened for setns; nullopt when it names anything else. Nothing
/// but a namespace file is ever opened: a FIFO would block, a device might act. Throws
/// Error(system).
std::optional<Fd> open_namespace(const std::string& path);

/// The CLONE_NEW* bit of a namespace file (NS_GET_NSTYPE). Throws Error(system).
std::uint64_t namespace_type(FdRef file);

/// Whether it is the namespace `kind` ("user", "net", … of /proc/self/ns) that this process is in
/// already. Throws Error(system).
bool is_own_namespace(FdRef file, const std::string& kind);

}  // namespace tare::sys
