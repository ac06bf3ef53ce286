/// What of a mount in config.json is refused before anything is made: places that must not be
/// covered, words that contradict each other, values that no call takes. Used by mounts when
/// planning.
#pragma once

#include <string_view>

#include "features/mounts.hpp"
#include "tare/error.hpp"

namespace tare::mount_checks {

/// An Error(spec) in runc's words, "error mounting ...: text", that blames the entry.
Error refusal(const mounts::Entry& entry, std::string_view text);

/// Throws Error(spec) for words that would be without the effect that somebody relies on.
void check_words(const mounts::Entry& entry, bool is_bind);

/// Throws Error(spec) for an option or a source of a filesystem that is longer than the kernel
/// takes.
void check_lengths(const mounts::Entry& entry, const mounts::Mount& mount);

/// Throws Error(spec) for the root itself, and for what is inside /proc and not harmless.
void check_place(const mounts::Mount& mount, const mounts::Entry& entry);

}  // namespace tare::mount_checks
