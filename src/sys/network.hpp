/// Network devices of a network namespace.
#pragma once

#include <string_view>

#include "sys/fd.hpp"

namespace tare::sys {

/// A socket in this process's network namespace, by which whoever has it reaches that namespace's
/// devices (netdevice(7)). Throws Error(system).
Fd network_socket();

/// Sets a device up (IFF_UP) in the network namespace that the socket is of. Throws Error(system).
void bring_up(FdRef socket, std::string_view device);

}  // namespace tare::sys
