/// Lists of CPU and memory node numbers, "0-3,7" (config.md, "execCPUAffinity"; config-linux.md,
/// "Memory policy"), as the masks that the kernel takes. Read with the config; any number that a
/// kernel can have is a number here.
#pragma once

#include <string>

#include "spec/reader.hpp"
#include "sys/attributes.hpp"

namespace tare::number_list {

/// The set that a list in the string `text` names, empty for an empty list. As runc has it, spaces
/// around an element and commas too many do no harm. Throws Error(spec) that begins with `what`,
/// for anything else and for a number above `highest`.
sys::NumberMask read(const spec::Reader& text, std::string_view what, unsigned highest);

/// The list of a set, in the shortest form: "0-3,7".
std::string shown(const sys::NumberMask& mask);

/// How many numbers are in the set.
unsigned count(const sys::NumberMask& mask) noexcept;

}  // namespace tare::number_list
