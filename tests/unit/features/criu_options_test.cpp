#include "features/criu_options.hpp"

#include <sched.h>

#include <catch2/catch.hpp>

#include "tare/error.hpp"

namespace tare::criu_options {
namespace {

using List = std::vector<std::string>;
using Inherited = std::vector<std::pair<std::string, int>>;

template <typename Body>
std::string refusal(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was refused";
}

mounts::Mount mount_of(mounts::Kind kind, const std::string& destination) {
  return {.kind = kind, .destination = destination};
}

}  // namespace

TEST_CASE("criu options: the words of --manage-cgroups-mode and --network-lock", "[criu]") {
  CHECK(read_cgroup_mode("") == criu::CgroupMode::by_default);
  CHECK(read_cgroup_mode("soft") == criu::CgroupMode::soft);
  CHECK(read_cgroup_mode("full") == criu::CgroupMode::full);
  CHECK(read_cgroup_mode("strict") == criu::CgroupMode::strict);
  CHECK(read_cgroup_mode("ignore") == criu::CgroupMode::ignore);
  CHECK(refusal([] { read_cgroup_mode("Soft"); }) == "invalid manage-cgroups-mode value: Soft");
  CHECK(read_network_lock("") == criu::NetworkLock::by_default);
  CHECK(read_network_lock("iptables") == criu::NetworkLock::iptables);
  CHECK(read_network_lock("nftables") == criu::NetworkLock::nftables);
  CHECK(read_network_lock("skip") == criu::NetworkLock::skip);
  CHECK(refusal([] { read_network_lock("none"); }) == "invalid network-lock value: none");
}

TEST_CASE("criu options: a page server is an address and a port", "[criu]") {
  CHECK(read_page_server("127.0.0.1:27") == std::pair(std::string("127.0.0.1"), 27));
  CHECK(read_page_server("[::1]:65535") == std::pair(std::string("::1"), 65535));
  for (const char* bad : {"", "host", ":27", "host:", "::1:27", "[]:1"}) {
    CHECK(refusal([&] { read_page_server(bad); }) ==
          "Use --page-server ADDRESS:PORT to specify page server");
  }
  for (const char* bad : {"h:x", "h:65536", "h:-1", "h:1x", "h:99999999999"}) {
    CHECK(refusal([&] { read_page_server(bad); }) == "Invalid port number");
  }
}

TEST_CASE("criu options: the network is left out always, and nothing else can be", "[criu]") {
  CHECK(read_empty_namespaces({}) == CLONE_NEWNET);
  CHECK(read_empty_namespaces({"network"}) == CLONE_NEWNET);
  CHECK(refusal([] {
          read_empty_namespaces({"network", "ipc"});
        }) == "namespace \"ipc\" is not supported");
}

TEST_CASE("criu options: the annotation's file of settings comes first, even as none", "[criu]") {
  CHECK(config_file({{"org.criu.config", "/etc/mine.conf"}}, true) == "/etc/mine.conf");
  CHECK(config_file({{"org.criu.config", ""}}, true).empty());
  CHECK(config_file({}, true) == "/etc/criu/tare.conf");
  CHECK(config_file({}, false) == "/etc/criu/runc.conf");
}

TEST_CASE("criu options: what comes from outside is kept for the checkpoint", "[criu]") {
  const mounts::Plan mounts{.mounts = {mount_of(mounts::Kind::filesystem, "/proc"),
                                       mount_of(mounts::Kind::bind, "/etc/hosts"),
                                       mount_of(mounts::Kind::inner_bind, "/again"),
                                       mount_of(mounts::Kind::remount, "/sys")}};
  const devices::Plan bound{.devices = {{.path = "/dev/null"}}, .bind = true};
  const namespaces::Plan namespaces{.create = CLONE_NEWNS,
                                    .join = {{.type = namespaces::Type::network, .path = "/n"},
                                             {.type = namespaces::Type::ipc, .path = "/i"}}};
  CHECK(plan(mounts, bound, {.masked = {"/proc/kcore"}}, namespaces) ==
        Outside{.mounts = {"/etc/hosts", "/dev/null"},
                .masked = {"/proc/kcore"},
                .joined = CLONE_NEWNET | CLONE_NEWIPC});
  const devices::Plan made{.devices = {{.path = "/dev/null"}}};
  CHECK(plan({}, made, {}, {}) == Outside{});
}

TEST_CASE("criu options: names are criu's own, and runc's for what it takes by descriptor",
          "[criu]") {
  using namespaces::Type;
  CHECK(external_name(Type::network) == "extRootNetNS");
  CHECK(external_name(Type::pid) == "extRootPidNS");
  CHECK(external_name(Type::ipc).empty());
  CHECK(criu_name(Type::mount) == "mnt");
  CHECK(criu_name(Type::network) == "net");
  CHECK(criu_name(Type::cgroup).empty());
}

TEST_CASE("criu options: pipes and files are connected again, each in its place", "[criu]") {
  const List streams = {"", "pipe:[7]", "file[1c:2a]"};
  CHECK(descriptors_text(streams) == R"(["","pipe:[7]","file[1c:2a]"])");
  CHECK(read_descriptors(descriptors_text(streams)) ==
        Inherited{{"pipe:[7]", 1}, {"file[1c:2a]", 2}});
  // As runc and crun write it.
  CHECK(read_descriptors(R"(["/dev/null","pipe:[3]","/dev/pts/0","pipe:[9]"])") ==
        Inherited{{"pipe:[3]", 1}});
  CHECK(read_descriptors("[]").empty());
  CHECK(read_descriptors("[1,null,\"pipe:[2]\"]") == Inherited{{"pipe:[2]", 2}});
}

TEST_CASE("criu options: a file is from outside if its mount is none of the container's",
          "[criu]") {
  const std::string mounts = "280 27 0:5 / / rw - ext4 x rw\n290 280 0:6 / /proc rw - proc p rw\n";
  const auto named = [&](const std::string& id) {
    return external_file("pos:\t0\nflags:\t02\nmnt_id:\t" + id + "\nino:\t4\n", mounts, 42);
  };
  CHECK(named("28") == "file[1c:2a]");
  CHECK(named("27") == "file[1b:2a]");
  CHECK(named("280").empty());
  CHECK(named("290").empty());
  CHECK(named("x").empty());
  CHECK(external_file("pos:\t0\n", mounts, 42).empty());
}

TEST_CASE("criu options: a damaged list of descriptors is an error", "[criu]") {
  for (const char* bad : {"", "{", "{}", "\"pipe:[1]\"", "[\"pipe:[1]\""}) {
    CHECK(refusal([&] { read_descriptors(bad); }) == "damaged descriptors.json: no list of JSON");
  }
}

}  // namespace tare::criu_options
