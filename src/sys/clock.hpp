/// The time of day as text, without glibc's time zones, which read files.
#pragma once

#include <string>

namespace tare::sys {

/// Now, in UTC, as RFC 3339 with nanoseconds: "2026-11-24T21:07:00.123456789Z".
std::string now_rfc3339_nanoseconds();

/// The id of this boot of the kernel. Throws Error(system).
std::string boot_id();

}  // namespace tare::sys
