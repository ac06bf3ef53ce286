/// The interval of `events`, as Go programs take times.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tare::cli {

/// Nanoseconds of a word such as "5s", "500ms", "1m30s" or "-1.5h", in the units ns, us, ms, s, m
/// and h, as Go's time.ParseDuration reads them; nullopt for anything else, and for more than an
/// int64_t holds.
std::optional<std::int64_t> parse_duration(std::string_view word);

}  // namespace tare::cli
