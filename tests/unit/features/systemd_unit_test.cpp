#include "features/systemd_unit.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tare/error.hpp"

namespace tare::systemd_unit {
namespace {

const Host kRoot{};
const Host kUser{.euid = 1000,
                 .rootless = true,
                 .cgroup = {.own = "/user.slice/user-1000.slice/session-2.scope"}};

TEST_CASE("cgroupsPath names the slice, the prefix and the name of a scope", "[systemd_unit]") {
  CHECK(unit_of("machine.slice:libpod:abc", "id", kRoot) ==
        Unit{.name = "libpod-abc.scope", .slice = "machine.slice"});
  CHECK(unit_of(":cri:abc", "id", kRoot) == Unit{.name = "cri-abc.scope", .slice = "system.slice"});
  CHECK(unit_of("a.slice::abc", "id", kRoot) == Unit{.name = "abc.scope", .slice = "a.slice"});
  CHECK(unit_of("", "id", kRoot) == Unit{.name = "tare-id.scope", .slice = "system.slice"});
  CHECK(unit_of("", "id", kUser) ==
        Unit{.name = "tare-id.scope", .slice = "user.slice", .user = true});
}

TEST_CASE("a path that names no scope is refused by its field", "[systemd_unit]") {
  struct Case {
    std::string path;
    std::string why;
  };
  const Case cases[] = {
      {"/a/b", "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups"},
      {"a:b", "expected cgroupsPath to be of format"},
      {"a:b:c:d", "expected cgroupsPath to be of format"},
      {"a.slice:b:", "names no unit"},
      {"a.slice:b:c.slice", "a process cannot be in one"},
      {"a.slice:b:c/d", "cannot be the name of a systemd unit"},
      {"a.slice:b:c d", "cannot be the name of a systemd unit"},
      {"a.slice:b:" + std::string(300, 'c'), "cannot be the name of a systemd unit"},
      {std::string("a.slice:b:c\0d", 13), "cannot be the name of a systemd unit"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.path);
    try {
      unit_of(one.path, "id", kRoot);
      FAIL("nothing was thrown");
    } catch (const Error& error) {
      CHECK(error.field() == "/linux/cgroupsPath");
      CHECK_THAT(error.message(), Catch::Contains(one.why));
    }
  }
}

TEST_CASE("a slice lies below the slices that its name has dashes for", "[systemd_unit]") {
  CHECK(expand_slice("a.slice") == "/a.slice");
  CHECK(expand_slice("a-b-c.slice") == "/a.slice/a-b.slice/a-b-c.slice");
  CHECK(expand_slice("-.slice").empty());
  for (const char* name : {"", "a", ".slice", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice",
                           "../x.slice", "a.scope"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(expand_slice(name), Error);
  }
}

TEST_CASE("the cgroup of a scope is where systemd makes it", "[systemd_unit]") {
  CHECK(path_of({.name = "a.scope", .slice = "b-c.slice"}, kRoot) == "/b.slice/b-c.slice/a.scope");
  CHECK(path_of({.name = "a.scope", .slice = "-.slice"}, kRoot) == "/a.scope");
  const Unit unit{.name = "a.scope", .slice = "user.slice", .user = true};
  const std::string expected = "/user.slice/user-1000.slice/user@1000.service/user.slice/a.scope";
  CHECK(path_of(unit, kUser) == expected);
  Host inside = kUser;
  inside.cgroup.own = "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service";
  CHECK(path_of(unit, inside) == expected);
  inside.cgroup.own = "/init.scope";
  CHECK_THROWS_WITH(path_of(unit, inside), Catch::Contains("/init.scope is in no user slice"));
  inside.cgroup.own = "/user.slice/user-x.slice/a";
  CHECK_THROWS_AS(path_of(unit, inside), Error);
}

}  // namespace
}  // namespace tare::systemd_unit
