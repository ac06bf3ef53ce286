#include "features/namespaces.hpp"

#include <linux/sched.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "features/id_map.hpp"
#include "sys/file.hpp"
#include "sys/network.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace tare::namespaces {
namespace {

bool is_root() {
  if (::geteuid() == 0) return true;
  WARN("skipped: needs root");
  return false;
}

// A process that keeps its namespaces alive, killed and reaped at the end.
class Keeper {
 public:
  explicit Keeper(std::uint64_t namespaces)
      : child_(sys::spawn({.namespaces = namespaces}, [] {
          for (;;) ::pause();
          return 0;
        })) {}
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper() {
    sys::send_signal(child_.pidfd, SIGKILL);
    sys::wait_for(child_.pidfd);
  }
  pid_t pid() const { return child_.pid; }
  std::string path(const std::string& name) const {
    return "/proc/" + std::to_string(child_.pid) + "/ns/" + name;
  }
  std::string identity(const std::string& name) const {
    return sys::read_link(sys::FdRef::cwd(), path(name));
  }

 private:
  sys::Child child_;
};

std::string own(const std::string& name) {
  return sys::read_link(sys::FdRef::cwd(), "/proc/self/ns/" + name);
}

// Runs `body` (true for right) in a process of its own.
template <typename Body>
bool holds(std::uint64_t namespaces, Body body) {
  const sys::Child child = sys::spawn({.namespaces = namespaces}, [&] { return body() ? 0 : 1; });
  return sys::wait_for(child.pidfd).code == 0;
}

bool is_up(const char* device) {
  const sys::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  struct ifreq request {};
  std::strncpy(request.ifr_name, device, sizeof request.ifr_name - 1);
  return ::ioctl(socket.number(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

TEST_CASE("lo is brought up in the network namespace of a socket, and in no other",
          "[namespaces]") {
  if (!is_root()) return;
  CHECK(holds(CLONE_NEWNET, [] {
    const sys::Fd network = sys::network_socket();
    return holds(CLONE_NEWNET,
                 [&] {
                   apply_in_parent(network);
                   return !is_up("lo");
                 }) &&
           is_up("lo");
  }));
}

TEST_CASE("namespaces by path are joined", "[namespaces]") {
  if (!is_root()) return;
  const Keeper keeper(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS);
  const Plan plan = namespaces::plan(
      {.entries = {{.type = Type::mount, .path = keeper.path("mnt"), .pointer = "/0"},
                   {.type = Type::network, .path = keeper.path("net"), .pointer = "/1"},
                   {.type = Type::uts, .path = keeper.path("uts"), .pointer = "/2"}}},
      {});
  const std::vector<Target> targets = open_in_parent(plan);
  REQUIRE(targets.size() == 3);
  CHECK(holds(0, [&] {
    const std::string ipc = own("ipc");
    join(targets);
    return own("net") == keeper.identity("net") && own("uts") == keeper.identity("uts") &&
           own("mnt") == keeper.identity("mnt") && own("ipc") == ipc;
  }));
}

TEST_CASE("root joins namespaces that the joined user namespace does not own", "[namespaces]") {
  if (!is_root()) return;
  const Keeper user(CLONE_NEWUSER);
  id_map::apply_in_parent({.uids = {{0, 100000, 10}}, .gids = {{0, 100000, 10}}}, user.pid());
  const Keeper network(CLONE_NEWNET);
  const Spec spec{
      .entries = {{.type = Type::user, .path = user.path("user"), .pointer = "/0"},
                  {.type = Type::network, .path = network.path("net"), .pointer = "/1"}}};
  // Asked for now: from within that user namespace neither process could be looked at.
  const std::string wanted_user = user.identity("user");
  const std::string wanted_network = network.identity("net");
  const std::vector<Target> right = open_in_parent(plan(spec, {.euid = 0}));
  CHECK(holds(0, [&] {
    join(right);
    return own("user") == wanted_user && own("net") == wanted_network;
  }));
  // The order matters: as a plain user's it fails here.
  const std::vector<Target> wrong = open_in_parent(plan(spec, {.euid = 1000}));
  CHECK(holds(0, [&] {
    try {
      join(wrong);
    } catch (const Error& error) {
      return error.message().find("join the network namespace: setns(") == 0 &&
             error.errno_value() == EPERM;
    }
    return false;
  }));
}

TEST_CASE("our own namespaces by path are joined without an error", "[namespaces]") {
  if (!is_root()) return;
  Plan plan;
  for (const auto& [type, name] : {std::pair{Type::network, "net"},
                                   {Type::uts, "uts"},
                                   {Type::pid, "pid"},
                                   {Type::cgroup, "cgroup"},
                                   {Type::user, "user"},
                                   {Type::mount, "mnt"}}) {
    plan.join.push_back(
        {.type = type, .path = std::string("/proc/self/ns/") + name, .pointer = "/x"});
  }
  const std::vector<Target> targets = open_in_parent(plan);
  CHECK(holds(0, [&] {
    join(targets);
    return true;
  }));
}

TEST_CASE("root maps ids of a new user namespace and checks those of a joined one", "[id_map]") {
  if (!is_root()) return;
  const Keeper user(CLONE_NEWUSER);
  const id_map::Plan plan{.uids = {{0, 100000, 10}, {10, 5, 1}}, .gids = {{0, 200000, 7}}};
  id_map::apply_in_parent(plan, user.pid());
  const std::string proc = "/proc/" + std::to_string(user.pid()) + "/";
  const auto map = [&](const char* file) {
    return id_map::from_text(sys::read_file(sys::FdRef::cwd(), proc + file));
  };
  CHECK(map("uid_map") == plan.uids);
  CHECK(map("gid_map") == plan.gids);
  CHECK(sys::read_file(sys::FdRef::cwd(), proc + "setgroups") == "allow\n");

  id_map::Plan joined{.uids = {{10, 5, 1}, {0, 100000, 10}}, .joined = true};
  const id_map::Plan found = id_map::check_joined_in_parent(joined, user.pid());
  CHECK(found.uids == plan.uids);
  CHECK(found.gids == plan.gids);
  CHECK_FALSE(found.deny_setgroups);
  joined.gids = {{0, 200001, 7}};
  CHECK_THROWS_WITH(
      id_map::check_joined_in_parent(joined, user.pid()),
      Catch::Matchers::StartsWith("config.json: user namespaces enabled, but both namespace path "
                                  "and non-matching mapping specified"));
}

TEST_CASE("a joined user namespace must map root, and may have given up setgroups", "[id_map]") {
  if (!is_root()) return;
  const Keeper bare(CLONE_NEWUSER);
  CHECK_THROWS_WITH(id_map::check_joined_in_parent({.joined = true}, bare.pid()),
                    "config.json: the user namespace to join does not map root: its uid_map is "
                    "empty");
  const Keeper user(CLONE_NEWUSER);
  id_map::apply_in_parent({.uids = {{0, 7, 1}}, .gids = {{0, 8, 1}}, .deny_setgroups = true},
                          user.pid());
  CHECK(id_map::check_joined_in_parent({.joined = true}, user.pid()) ==
        id_map::Plan{
            .uids = {{0, 7, 1}}, .gids = {{0, 8, 1}}, .joined = true, .deny_setgroups = true});
}

TEST_CASE("setgroups is denied where the plan says so", "[id_map]") {
  if (!is_root()) return;
  const Keeper user(CLONE_NEWUSER);
  id_map::apply_in_parent({.uids = {{0, 0, 1}}, .gids = {{0, 0, 1}}, .deny_setgroups = true},
                          user.pid());
  CHECK(sys::read_file(sys::FdRef::cwd(), "/proc/" + std::to_string(user.pid()) + "/setgroups") ==
        "deny\n");
}

TEST_CASE("a plain user maps its own ids alone, and is refused without the denial", "[id_map]") {
  if (!is_root()) return;
  for (const bool deny : {true, false}) {
    CAPTURE(deny);
    CHECK(holds(0, [deny] {
      // Dumpable again, or /proc/PID of its child would belong to root.
      if (::setresgid(100, 100, 100) != 0 || ::setresuid(1000, 1000, 1000) != 0) return false;
      sys::set_dumpable(true);
      const Keeper user(CLONE_NEWUSER);
      id_map::Plan plan =
          id_map::plan({.uids = {{0, 1000, 1}}, .gids = {{0, 100, 1}}}, {.create = CLONE_NEWUSER},
                       {.euid = 1000, .egid = 100, .rootless = true});
      plan.deny_setgroups = deny;
      try {
        id_map::apply_in_parent(plan, user.pid());
      } catch (const Error& error) {
        return !deny && error.errno_value() == EPERM && error.field() == "/linux/gidMappings";
      }
      return deny;
    }));
  }
}

TEST_CASE("a map of a page or more is refused before the kernel sees it", "[id_map]") {
  if (!is_root()) return;
  const Keeper user(CLONE_NEWUSER);
  id_map::Plan plan;
  for (std::uint32_t i = 0; i < 340; ++i) plan.uids.push_back({4000000000U + 2 * i, 2 * i, 1});
  CHECK_THROWS_WITH(id_map::apply_in_parent(plan, user.pid()),
                    Catch::Matchers::StartsWith("the uid_map has ") &&
                        Catch::Matchers::Contains("and the kernel takes less than"));
}

TEST_CASE("without newuidmap the error names it, and with it the program's own words", "[id_map]") {
  if (!is_root()) return;
  const Keeper user(CLONE_NEWUSER);
  CHECK(holds(0, [&] {
    if (::setresuid(64999, 64999, 64999) != 0) return false;  // a user without any subordinate ids
    try {
      id_map::apply_in_parent(
          {.uids = {{0, 100000, 65536}}, .gids = {{0, 100000, 65536}}, .through_helpers = true},
          user.pid());
    } catch (const Error& error) {
      return error.message().find("newuidmap") == 0 &&
             error.message().find("64999:100000:65536") != std::string::npos;
    }
    return false;
  }));
}

}  // namespace
}  // namespace tare::namespaces
