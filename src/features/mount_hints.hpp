/// What to do about a mount that the kernel refuses: its errno values say little, and for some
/// mounts only one thing can be meant. Used by mounts, in the parent and in init, when one has
/// failed.
#pragma once

#include <string>

#include "features/mounts.hpp"

namespace tare::mount_hints {

/// The cure for this mount's failing with `number` (an errno value), or an empty text.
std::string hint_for(const mounts::Mount& mount, int number);

}  // namespace tare::mount_hints
