#include "sys/credentials.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

// The exit code of a child that does `act`; 250 where it throws.
int in_child(const std::function<int()>& act) {
  const Child child = spawn({}, [&] {
    try {
      return act();
    } catch (const Error&) {
      return 250;
    }
  });
  return wait_for(child.pidfd).code;
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was thrown";
}

TEST_CASE("the umask is the one that was set", "[credentials]") {
  CHECK(in_child([] {
          set_umask(0137);
          return static_cast<int>(::umask(0));
        }) == 0137);
}

TEST_CASE("capabilities are read as they were set, high and low numbers alike", "[credentials]") {
  constexpr std::uint64_t low = std::uint64_t{1} << CAP_KILL;
  constexpr std::uint64_t high = std::uint64_t{1} << CAP_AUDIT_READ;
  if ((own_capabilities().permitted & (low | high)) != (low | high)) {
    WARN("skipped: needs CAP_KILL and CAP_AUDIT_READ");
    return;
  }
  CHECK(in_child([] {
          const CapabilitySets wanted{
              .effective = high, .permitted = low | high, .inheritable = low};
          set_capabilities(wanted);
          return own_capabilities() == wanted ? 0 : 1;
        }) == 0);
}

TEST_CASE("a capability of a number that no kernel knows is in no bounding set", "[credentials]") {
  CHECK_FALSE(is_bounding(63));
  CHECK_FALSE(is_bounding(-1));
  CHECK(message_of([] { raise_ambient(63); }) ==
        "prctl(PR_CAP_AMBIENT_RAISE, 63): invalid argument");
}

TEST_CASE("KEEPCAPS is one of the secure bits, on and off", "[credentials]") {
  CHECK(in_child([] {
          set_keep_capabilities(true);
          const unsigned on = secure_bits();
          set_keep_capabilities(false);
          return (on & 0x10) != 0 && (secure_bits() & 0x10) == 0 ? 0 : 1;
        }) == 0);
}

TEST_CASE("what a process without capabilities may not do is an error with its arguments",
          "[credentials]") {
  CHECK(in_child([] {
          set_capabilities({});
          const bool right =
              message_of([] {
                set_groups({1, 2});
              }) == "setgroups(1, 2): operation not permitted" &&
              message_of([] { set_secure_bits(1); }) ==
                  "prctl(PR_SET_SECUREBITS, 0x1): operation not permitted" &&
              message_of([] { drop_from_bounding(3); }) ==
                  "prctl(PR_CAPBSET_DROP, 3): operation not permitted" &&
              message_of([] { set_capabilities({.permitted = 0x100000001}); }) ==
                  "capset(effective 0x0, permitted 0x100000001, inheritable 0x0): operation not "
                  "permitted";
          return right ? 0 : 1;
        }) == 0);
}

TEST_CASE("a limit is read as it was set, and none is more than any number", "[credentials]") {
  CHECK(in_child([] {
          set_resource_limit(0, RLIMIT_FSIZE, {.soft = 5, .hard = 0x200000000});
          const bool same =
              resource_limit(0, RLIMIT_FSIZE) == ResourceLimit{.soft = 5, .hard = 0x200000000};
          return same ? 0 : 1;
        }) == 0);
  CHECK(message_of([] { set_resource_limit(0, 99, {.soft = 1, .hard = RLIM64_INFINITY}); }) ==
        "prlimit(0, 99, soft 1, hard unlimited): invalid argument");
  CHECK(message_of([] { resource_limit(0, 99); }) == "prlimit(0, 99): invalid argument");
}

}  // namespace
}  // namespace tare::sys
