/// Makes /proc/self/exe worthless to a container (CVE-2019-5736): before any process of ours can be
/// seen from inside one, this program runs from a copy of itself that nothing can write to: a
/// detached read-only clone of the mount that it lies on or, where that cannot be made, a sealed
/// memfd. As a rule its first instructions have moved it into the clone (entry.cpp).
#pragma once

/// Whether they have. Hidden, as they can reach nothing that has to be relocated.
extern "C" __attribute__((visibility("hidden"))) bool tare_is_sealed;

namespace tare::sys {

/// Executes this program again from a sealed image, with the same arguments, or returns if the
/// image already is one (a read-only mount, or a sealed memfd). Throws Error(system) where neither
/// way works.
void seal_own_image(char** arguments);

}  // namespace tare::sys
