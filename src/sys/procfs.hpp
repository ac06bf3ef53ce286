/// The host's procfs as a descriptor that was proven to be one, and the security attributes of the
/// calling thread in it. Opened before anything of a container is in sight, so that no mount, link
/// or race of a container can make a label land elsewhere (CVE-2019-16884, CVE-2019-19921,
/// CVE-2023-28642, CVE-2025-52881).
#pragma once

#include <string>
#include <string_view>

#include "sys/fd.hpp"

namespace tare::sys {

/// An O_PATH descriptor of /proc. Throws Error(system) where that is not the root of a procfs.
Fd open_procfs();

/// Writes `value` with one write(2) to the file `name` ("exec", "apparmor/exec") below the
/// directory attr of the calling thread; the kernel takes it only from that thread itself. A procfs
/// numbers threads as the pid namespace that it was mounted in, so one of the host serves a process
/// in any namespace. False where there is no such file. Throws Error(system) naming the file in
/// backticks, which is how podman knows these errors.
bool write_own_attribute(FdRef procfs, const std::string& name, std::string_view value);

}  // namespace tare::sys
