#include "features/sysctl.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>

#include <catch2/catch.hpp>

#include "../scratch.hpp"
#include "sandbox.hpp"

namespace tare {
namespace {

const std::string kTtl = "/proc/sys/net/ipv4/ip_default_ttl";

sysctl::Plan plan_of(const std::string& path, const std::string& value) {
  return {.settings = {{.path = path, .value = value, .pointer = "/linux/sysctl/it"}}};
}

// What comes of an attempt to set a parameter: nothing, or the error and its field.
std::string attempt(const sysctl::Plan& plan) {
  try {
    sysctl::apply_in_init(plan, std::nullopt);
  } catch (const Error& error) {
    return error.message() + " " + error.field();
  }
  return "";
}

}  // namespace

TEST_CASE("sysctl: parameters are set in the container's namespaces and nowhere else") {
  if (test::skip_unless_root()) return;
  const std::string before = test::read(kTtl);
  CHECK(test::in_child(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS, [] {
          sysctl::apply_in_init({.settings = {{.path = "net/ipv4/ip_default_ttl", .value = "77"},
                                              {.path = "kernel/msgmax", .value = "4242"},
                                              {.path = "fs/mqueue/msg_max", .value = "11"},
                                              {.path = "kernel/domainname", .value = "example"}}},
                                std::nullopt);
          return test::read(kTtl) + test::read("/proc/sys/kernel/msgmax") +
                 test::read("/proc/sys/fs/mqueue/msg_max") +
                 test::read("/proc/sys/kernel/domainname");
        }) == "77\n4242\n11\nexample\n");
  CHECK(test::read(kTtl) == before);
}

TEST_CASE("sysctl: what is mounted over a parameter in the container deceives nobody") {
  if (test::skip_unless_root()) return;
  const std::string victim = test::read("/proc/sys/kernel/core_pattern");
  const std::string answer = test::in_child(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID, [] {
    test::mount("", "/", nullptr, MS_PRIVATE | MS_REC);
    test::mount("proc", "/proc", "proc", 0);
    test::mount("/proc/sys/kernel/core_pattern", kTtl, nullptr, MS_BIND);
    sysctl::apply_in_init(plan_of("net/ipv4/ip_default_ttl", "77"), std::nullopt);
    if (::umount(kTtl.c_str()) < 0) return std::string("umount");
    return test::read(kTtl);
  });
  CHECK(answer == "77\n");
  CHECK(test::read("/proc/sys/kernel/core_pattern") == victim);
}

TEST_CASE("sysctl: no procfs need be mounted in the container at all") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(CLONE_NEWNET | CLONE_NEWNS, [] {
          test::mount("", "/", nullptr, MS_PRIVATE | MS_REC);
          test::mount("fake", "/proc", "tmpfs", 0);
          test::write(kTtl, "old");
          sysctl::apply_in_init(plan_of("net/ipv4/ip_default_ttl", "77"), std::nullopt);
          const std::string fake = test::read(kTtl);
          if (::umount("/proc") < 0) return std::string("umount");
          return fake + test::read(kTtl);
        }) == "old77\n");
}

TEST_CASE("sysctl: a value that the kernel refuses names key, value and field") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(CLONE_NEWNET | CLONE_NEWNS, [] {
          return attempt(plan_of("net/ipv4/ip_default_ttl", "many"));
        }).starts_with("sysctl net.ipv4.ip_default_ttl = \"many\": write "));
}

TEST_CASE("sysctl: a parameter that this kernel has not is an error that names it") {
  if (test::skip_unless_root()) return;
  const std::string said = test::in_child(CLONE_NEWNET | CLONE_NEWNS,
                                          [] { return attempt(plan_of("net/no_such", "1")); });
  CHECK_THAT(said, Catch::StartsWith("sysctl net.no_such = \"1\": open sys/net/no_such beneath "));
  CHECK_THAT(said, Catch::EndsWith("no such file or directory /linux/sysctl/it"));
}

TEST_CASE("sysctl: in a user namespace of its own a container sets its own parameters") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID, [] {
          sysctl::apply_in_init({.settings = {{.path = "net/ipv4/ip_default_ttl", .value = "77"},
                                              {.path = "user/max_mnt_namespaces", .value = "7"}}},
                                std::nullopt);
          return test::read(kTtl) + test::read("/proc/sys/user/max_mnt_namespaces");
        }) == "77\n7\n");
}

TEST_CASE("sysctl: where no new procfs is allowed, the container's own is used if it is whole") {
  if (test::skip_unless_root()) return;
  // A mount over part of the procfs that is visible is what keeps a user namespace from a new one.
  const auto with_hidden = [](const std::string& hidden) {
    return test::in_child(CLONE_NEWNS, [&] {
      test::mount("", "/", nullptr, MS_PRIVATE | MS_REC);
      test::mount("tmpfs", hidden, "tmpfs", 0);
      return test::in_child(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS, [] {
        const std::string said = attempt(plan_of("net/ipv4/ip_default_ttl", "77"));
        return said.empty() ? test::read(kTtl) : said;
      });
    });
  };
  CHECK(with_hidden("/proc/bus") == "77\n");
  CHECK_THAT(with_hidden("/proc/sys/net"), Catch::Contains("invalid cross-device link"));
  CHECK(test::in_child(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS, [] {
          test::mount("fake", "/proc", "tmpfs", 0);
          test::write(kTtl, "old");
          return attempt(plan_of("net/ipv4/ip_default_ttl", "77"));
        }) == "sysctl net.ipv4.ip_default_ttl = \"77\": /proc is no procfs /linux/sysctl");
}

}  // namespace tare
