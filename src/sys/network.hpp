/// Network devices of this process's network namespace.
#pragma once

#include <string_view>

namespace tare::sys {

/// Sets a device up (IFF_UP). Throws Error(system).
void bring_up(std::string_view device);

}  // namespace tare::sys
