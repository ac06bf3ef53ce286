/// The command line of `update` as a request: flags become the JSON that --resources would have.
#pragma once

#include "cli/arguments.hpp"
#include "tare/runtime.hpp"

namespace tare::cli {

/// Bytes of a word such as "512M", "1.5g", "64 KiB" or "-1", units being powers of 1024, as runc
/// reads them; nullopt for anything else.
std::optional<std::int64_t> parse_memory(std::string_view word);

/// The flags but --resources as linux.resources. Throws Error(usage) naming the flag whose value is
/// no number.
std::string resources_of(const Arguments& arguments);

}  // namespace tare::cli
