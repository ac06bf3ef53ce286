#include "sys/network.hpp"

#include <linux/sched.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "../scratch.hpp"
#include "sys/netlink.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

// What `body` gives in a network namespace of its own, where the loopback device is down.
template <typename Body>
int in_new_network(Body body) {
  const Child child = spawn({.namespaces = CLONE_NEWNET}, body);
  return wait_for(child.pidfd).shell_code();
}

TEST_CASE("a device is down in a new network and up when it was brought up", "[network]") {
  if (test::skip_unless_root()) return;
  CHECK(in_new_network([] {
          RouteSocket socket;
          const std::optional<Link> before = socket.find("lo");
          const Fd network = network_socket();
          bring_up(network, "lo");
          const std::optional<Link> after = socket.find("lo");
          return before && !before->up && after && after->up ? 0 : 1;
        }) == 0);
}

TEST_CASE("a device that is not there is named", "[network]") {
  if (test::skip_unless_root()) return;
  CHECK(in_new_network([] {
          try {
            const Fd network = network_socket();
            bring_up(network, "nonesuch");
          } catch (const Error& error) {
            const bool named = error.message().find("nonesuch") != std::string::npos;
            return error.errno_value() == ENODEV && named ? 0 : 1;
          }
          return 2;
        }) == 0);
}

}  // namespace
}  // namespace tare::sys
