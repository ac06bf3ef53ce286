// What needs no cgroup; the rest is in tests/system/cgroup_test.cpp.
#include <catch2/catch.hpp>

#include "features/cgroup.hpp"

namespace tare::cgroup {
namespace {

constexpr const char* kGone = "/sys/fs/cgroup/no-such-cgroup";

TEST_CASE("a cgroup that is gone holds nothing and is not frozen", "[cgroup]") {
  CHECK(processes(kGone).empty());
  CHECK_FALSE(is_frozen(kGone));
}

TEST_CASE("killing, awaiting and removing what is gone is done at once", "[cgroup]") {
  CHECK_NOTHROW(kill_all(kGone));
  CHECK(await_empty(kGone, 0));
  CHECK(remove(kGone, 0));
  CHECK_NOTHROW(remove_made({kGone, std::string(kGone) + "/below"}));
}

TEST_CASE("freezing what is gone is an error: nothing would be frozen", "[cgroup]") {
  CHECK_THROWS_AS(set_frozen(kGone, true, 0), Error);
  CHECK_THROWS_AS(set_frozen(kGone, false, 0), Error);
}

TEST_CASE("a directory that is no cgroup is never removed with what is in it", "[cgroup]") {
  CHECK_THROWS_AS(remove("/proc/self", 0), Error);
}

}  // namespace
}  // namespace tare::cgroup
