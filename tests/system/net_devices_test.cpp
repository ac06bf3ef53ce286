#include "features/net_devices.hpp"

#include <arpa/inet.h>
#include <linux/sched.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "sys/command.hpp"
#include "sys/file.hpp"
#include "sys/netlink.hpp"
#include "sys/process.hpp"

namespace tare::net_devices {
namespace {

bool ip(const std::string& arguments) {
  const auto result = sys::run_command("/bin/sh", {"-c", "PATH=/bin:/sbin ip " + arguments});
  return result && result->status.shell_code() == 0;
}

// A pair of devices, `one` of them with addresses and up.
bool add_pair() {
  return ip("link add one type veth peer name two") && ip("address add 192.0.2.7/24 dev one") &&
         ip("address add 198.51.100.1/32 scope link dev one") && ip("link set one up");
}

// A process in a network namespace of its own, for as long as this lasts.
class Neighbour {
 public:
  Neighbour()
      : child_(sys::spawn({.namespaces = CLONE_NEWNET}, [] {
          for (;;) ::pause();
          return 0;
        })) {}
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;
  ~Neighbour() {
    sys::send_signal(child_.pidfd, SIGKILL);
    sys::wait_for(child_.pidfd);
  }
  pid_t pid() const { return child_.pid; }
  sys::RouteSocket socket() const {
    const sys::Fd file =
        sys::open_at(sys::FdRef::cwd(), "/proc/" + std::to_string(child_.pid) + "/ns/net", 0);
    return sys::RouteSocket::in(file);
  }

 private:
  sys::Child child_;
};

// A device's state and the lengths of its IPv4 prefixes; the kernel lists wider scopes last.
std::string shown(sys::RouteSocket& socket, const std::string& name) {
  const std::optional<sys::Link> link = socket.find(name);
  if (!link) return "none";
  std::string text = link->up ? "up" : "down";
  for (const sys::Address& address : socket.addresses(link->index)) {
    if (address.family != AF_INET) continue;
    text += "/" + std::to_string(address.prefix_length);
  }
  return text;
}

// Runs `body` in a network namespace with such a pair in it.
std::string with_pair(const std::function<std::string()>& body) {
  return test::in_child(CLONE_NEWNET, [&] { return add_pair() ? body() : "no pair"; });
}

bool can_run() {
  if (test::skip_unless_root()) return false;
  if (ip("link show lo")) return true;
  WARN("skipped: needs ip(8)");
  return false;
}

TEST_CASE("a device arrives up, renamed, with its global addresses", "[net_devices]") {
  if (!can_run()) return;
  CHECK(with_pair([] {
          const Neighbour neighbour;
          apply_in_parent({.devices = {{.name = "one", .new_name = "in%d", .pointer = "/x"}}},
                          neighbour.pid());
          sys::RouteSocket here;
          sys::RouteSocket there = neighbour.socket();
          return shown(here, "one") + " " + shown(there, "in0");
        }) == "none up/24");
}

TEST_CASE("a device that is restored is as it was", "[net_devices]") {
  if (!can_run()) return;
  CHECK(with_pair([] {
          const Neighbour neighbour;
          Moved moved =
              apply_in_parent({.devices = {{.name = "one", .new_name = "in", .pointer = "/x"},
                                           {.name = "two", .new_name = "one", .pointer = "/y"}}},
                              neighbour.pid());
          moved.restore();
          sys::RouteSocket here;
          sys::RouteSocket there = neighbour.socket();
          return shown(here, "one") + " " + shown(here, "two") + " " + shown(there, "in");
        }) == "up/32/24 down none");
}

TEST_CASE("what the kernel says of a refusal is told", "[net_devices]") {
  if (!can_run()) return;
  CHECK(with_pair([] {
          const Neighbour neighbour;
          try {
            apply_in_parent({.devices = {{.name = "one", .new_name = "in", .pointer = "/x"},
                                         {.name = "lo", .new_name = "lo1", .pointer = "/y"}}},
                            neighbour.pid());
          } catch (const Error& error) {
            sys::RouteSocket here;
            return error.field() + " " + shown(here, "one") + " " +
                   (error.hint().empty() ? "no hint" : "hint");
          }
          return std::string("moved");
        }) == "/y up/32/24 hint");
}

TEST_CASE("the namespace of a process that shares ours is no place to move to", "[net_devices]") {
  if (!can_run()) return;
  CHECK(with_pair([] {
          try {
            apply_in_parent({.devices = {{.name = "one", .new_name = "in", .pointer = "/x"}}},
                            ::getpid());
          } catch (const Error& error) {
            return error.message();
          }
          return std::string("moved");
        }) == "unable to move network devices without a private NET namespace");
}

TEST_CASE("a device is found by its name and its index", "[netlink]") {
  if (!can_run()) return;
  CHECK(with_pair([] {
          sys::RouteSocket here;
          const std::optional<sys::Link> link = here.find("one");
          if (!link || here.find("three")) return std::string("wrong");
          return here.at(link->index).name + (link->up ? " up" : " down");
        }) == "one up");
}

}  // namespace
}  // namespace tare::net_devices
