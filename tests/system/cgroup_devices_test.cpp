#include "features/cgroup_devices.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <random>

#include "cgroup_scratch.hpp"

namespace tare::cgroup_devices {
namespace {

using test::CgroupScratch;

// A node of a device that every kernel has, reads without effect and no default rule allows:
// /dev/kmsg.
constexpr unsigned kMajor = 1;
constexpr unsigned kMinor = 11;

// What a process in the cgroup gets for opening such a node: 0 or errno.
int open_in(sys::FdRef cgroup, int flags) {
  const sys::Child child = sys::spawn({.cgroup = cgroup}, [flags] {
    const std::string node = "/tmp/tare-node-" + std::to_string(::getpid());
    if (::mknod(node.c_str(), S_IFCHR | 0600, makedev(kMajor, kMinor)) != 0) return 200;
    const int fd = ::open(node.c_str(), flags | O_NONBLOCK);
    const int number = errno;
    ::unlink(node.c_str());
    return fd >= 0 ? 0 : number;
  });
  return sys::wait_for(child.pidfd).code;
}

int open_null_in(sys::FdRef cgroup) {
  const sys::Child child =
      sys::spawn({.cgroup = cgroup}, [] { return ::open("/dev/null", O_RDWR) >= 0 ? 0 : errno; });
  return sys::wait_for(child.pidfd).code;
}

Rule rule_for_node(bool allow, bool write) {
  return {
      .allow = allow, .type = 'c', .major = kMajor, .minor = kMinor, .read = true, .write = write};
}

TEST_CASE("before any program the node can be opened: what denies it below is the program",
          "[cgroup_devices]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd cgroup = scratch.make("");
  CHECK(open_in(cgroup, O_RDONLY) == 0);
}

TEST_CASE("no rules deny a device but not its node, and leave the default devices",
          "[cgroup_devices]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd cgroup = scratch.make("");
  apply_in_parent(plan({}, host), cgroup);
  CHECK(open_in(cgroup, O_RDONLY) == EPERM);
  CHECK(open_null_in(cgroup) == 0);
}

TEST_CASE("a rule allows what it names and no more", "[cgroup_devices]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd cgroup = scratch.make("");
  apply_in_parent(plan({.rules = {rule_for_node(true, false)}}, host), cgroup);
  CHECK(open_in(cgroup, O_RDONLY) == 0);
  CHECK(open_in(cgroup, O_RDWR) == EPERM);
  CHECK(open_in(cgroup, O_WRONLY) == EPERM);
}

TEST_CASE("a cgroup made below is not free of the rules, and cannot free itself",
          "[cgroup_devices]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd cgroup = scratch.make("");
  apply_in_parent(plan({}, host), cgroup);
  const sys::Fd below = scratch.make("/made/inside");
  CHECK(open_in(below, O_RDONLY) == EPERM);
  apply_in_parent(plan({.rules = {rule_for_node(true, true)}}, host), below);
  CHECK(open_in(below, O_RDONLY) == EPERM);
}

TEST_CASE("rootless plans attach nothing", "[cgroup_devices]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd cgroup = scratch.make("");
  apply_in_parent(plan({}, {.rootless = true}), cgroup);
  CHECK(open_in(cgroup, O_RDONLY) == 0);
}

TEST_CASE("the kernel's verifier takes every program that rules make", "[cgroup_devices]") {
  if (probe_host({}).rootless) {
    WARN("skipped: needs root");
    return;
  }
  std::mt19937 engine(20260911);
  const auto below = [&engine](unsigned limit) {
    return std::uniform_int_distribution<unsigned>(0, limit - 1)(engine);
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<Rule> rules(below(12));
    for (Rule& rule : rules) {
      rule = {.allow = below(2) == 0, .type = "abc"[below(3)]};
      if (below(2) == 0) rule.major = below(3) == 0 ? 0xFFFFFFFF : below(20);
      if (below(2) == 0) rule.minor = below(20);
      const unsigned access = 1 + below(7);
      rule.read = (access & 1) != 0;
      rule.write = (access & 2) != 0;
      rule.mknod = (access & 4) != 0;
    }
    REQUIRE_NOTHROW(sys::load_device_program(compile(rules)));
  }
  const std::vector<Rule> many(5000, rule_for_node(true, false));
  CHECK_NOTHROW(sys::load_device_program(compile(many)));
}

TEST_CASE("a program that the verifier refuses is an error with its reason", "[cgroup_devices]") {
  if (probe_host({}).rootless) {
    WARN("skipped: needs root");
    return;
  }
  // Leaves without having set the result.
  const std::vector<sys::BpfInstruction> program = {{.code = 0x95}};
  CHECK_THROWS_WITH(sys::load_device_program(program),
                    "bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE, 1 instructions): R0 !read_ok: "
                    "permission denied");
}

TEST_CASE("attaching to what is no cgroup is an error that names it", "[cgroup_devices]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  const sys::Fd elsewhere = sys::open_at(sys::FdRef::cwd(), "/tmp", O_RDONLY | O_DIRECTORY);
  CHECK_THROWS_WITH(apply_in_parent(plan({}, host), elsewhere),
                    Catch::Matchers::StartsWith("restrict the container's devices "
                                                "(linux.resources.devices): bpf(BPF_PROG_ATTACH") &&
                        Catch::Matchers::Contains("</tmp>"));
}

}  // namespace
}  // namespace tare::cgroup_devices
