/// Network devices and their addresses, asked for and changed by messages to the kernel
/// (rtnetlink(7)). A socket speaks of the network namespace that its maker was in, for life.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace tare::sys {

/// A network device.
struct Link {
  int index = 0;
  std::string name{};
  bool up = false;  ///< IFF_UP: what was asked for, whatever the cable says
};

/// An address of a device.
struct Address {
  std::uint8_t family = 0;         ///< AF_INET or AF_INET6
  std::uint8_t prefix_length = 0;  ///< in bits
  std::uint8_t scope = 0;          ///< RT_SCOPE_*
  std::uint32_t flags = 0;         ///< IFA_F_*
  std::string attributes{};        ///< the kernel's own, as they go into RTM_NEWADDR again

  /// Whether it was given for good, and is no lease.
  bool is_permanent() const noexcept;
  /// Whether it has a meaning beyond this host and this link (RT_SCOPE_UNIVERSE).
  bool is_global() const noexcept;
};

class RouteSocket {
 public:
  /// For the network namespace that this process is in. Throws Error(system).
  RouteSocket();
  /// For the network namespace of this file, which this process enters and leaves on the way; needs
  /// CAP_SYS_ADMIN over it. Throws Error(system).
  static RouteSocket in(FdRef network_namespace);

  /// The device of this name, or nullopt. Throws Error(system).
  std::optional<Link> find(std::string_view name);
  /// The device of this index. Throws Error(system), also where there is none.
  Link at(int index);
  /// Sets it up or down. Throws Error(system).
  void set_up(int index, bool up);
  /// Gives it another name; "%d" in it stands for the first number that is free. It must be down.
  /// Throws Error(system).
  void rename(int index, const std::string& name);
  /// Moves it to another namespace under this name. It arrives down and without its addresses, and
  /// may have another index. Throws Error(system).
  void move(int index, FdRef network_namespace, const std::string& name);
  /// Its addresses of all families. Throws Error(system).
  std::vector<Address> addresses(int index);
  /// Adds an address; `at_home`, to the device under the name that it had, with what is left of a
  /// lease and with the address's own label ("eth0:1"). Throws Error(system).
  void add(int index, const Address& address, bool at_home);

 private:
  explicit RouteSocket(Fd socket) noexcept : socket_(std::move(socket)) {}
  std::vector<std::string> ask(std::string message, std::string_view call);

  Fd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace tare::sys
