#include "sys/network.hpp"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "sys/describe.hpp"

namespace tare::sys {

Fd network_socket() {
  // Any socket will do; a unix one is there on kernels without IPv4 too.
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) raise(errno, "socket(AF_UNIX, SOCK_DGRAM)");
  return socket;
}

void bring_up(FdRef socket, std::string_view device) {
  struct ifreq request {};
  std::copy_n(device.begin(), std::min(device.size(), sizeof request.ifr_name - 1),
              request.ifr_name);
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.number(), SIOCSIFFLAGS, &request) < 0) {
    raise(errno, "ioctl(SIOCSIFFLAGS, {}, IFF_UP)", device);
  }
}

}  // namespace tare::sys
