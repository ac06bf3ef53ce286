/// Text that is UTF-8, as JSON has to be, and text of a user's that need not be.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tare::spec {

/// Where the text is first no UTF-8, in bytes; nullopt where all of it is.
std::optional<std::size_t> find_ill_formed(std::string_view text);

/// The text with U+FFFD, the replacement character, for each byte that is part of no character.
std::string mended(std::string_view text);

}  // namespace tare::spec
