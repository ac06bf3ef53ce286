/// The time of day as text, without glibc's time zones, which read files.
#pragma once

#include <cstdint>
#include <string>

namespace tare::sys {

/// Now, in UTC, as RFC 3339 with nanoseconds: "2026-11-24T21:07:00.123456789Z".
std::string now_rfc3339_nanoseconds();

/// Nanoseconds since 1970. A process in a time namespace reads the same:
/// its other clocks are shifted (time_namespaces(7)).
std::int64_t now_nanoseconds() noexcept;

/// The id of this boot of the kernel. Throws Error(system).
std::string boot_id();

}  // namespace tare::sys
