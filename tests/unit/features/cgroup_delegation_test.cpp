#include "features/cgroup_delegation.hpp"

#include <linux/mount.h>
#include <linux/sched.h>

#include <catch2/catch.hpp>

namespace tare::cgroup_delegation {
namespace {

using Annotations = std::map<std::string, std::string>;

const cgroup::Plan kCgroup{.mount_point = "/sys/fs/cgroup", .path = "/box"};
const namespaces::Plan kAllNew{.create = CLONE_NEWUSER | CLONE_NEWCGROUP};
const mounts::Spec kWritable{.entries = {{.destination = "/sys/fs/cgroup/", .type = "cgroup"}}};

// A container that gets its cgroup, to be changed in one respect by each test.
struct Case {
  Annotations annotations{};
  mounts::Spec mounts = kWritable;
  namespaces::Plan namespaces = kAllNew;
  cgroup::Plan cgroup = kCgroup;
  uid_t uid = 0;
  Host host{};
};

Plan plan_of(const Case& one) {
  return plan({.annotations = one.annotations,
               .mounts = one.mounts,
               .namespaces = one.namespaces,
               .cgroup = one.cgroup,
               .uid = one.uid},
              one.host);
}

TEST_CASE("a cgroup that is mounted writable is its container's", "[cgroup_delegation]") {
  CHECK(plan_of({}) == Plan{.delegates_own = true, .wants_controllers = true});
  CHECK(plan_of({.uid = 7}) == Plan{.delegates_own = true, .uid = 7, .wants_controllers = true});
  CHECK(plan_of({.namespaces = {.create = CLONE_NEWCGROUP}, .uid = 7}) ==
        Plan{.delegates_own = true, .uid = 7, .wants_controllers = true});
}

TEST_CASE("a cgroup is not handed over where it could not be used", "[cgroup_delegation]") {
  mounts::Spec readonly = kWritable;
  readonly.entries[0].options.set = MOUNT_ATTR_RDONLY;
  CHECK(plan_of({.mounts = readonly}) == Plan{});
  CHECK(plan_of({.mounts = {}}) == Plan{});
  mounts::Spec elsewhere = kWritable;
  elsewhere.entries[0].destination = "/cgroup";
  CHECK(plan_of({.mounts = elsewhere}) == Plan{});
  CHECK(plan_of({.namespaces = {.create = CLONE_NEWUSER}}) == Plan{});
  CHECK(plan_of({.cgroup = {}}) == Plan{});
}

TEST_CASE("root of no user namespace needs nothing, and a plain user can give nothing",
          "[cgroup_delegation]") {
  CHECK(plan_of({.namespaces = {.create = CLONE_NEWCGROUP}}) == Plan{.wants_controllers = true});
  CHECK_FALSE(plan_of({.host = {.euid = 1000, .rootless = true}}).delegates_own);
  CHECK(plan_of({.host = {.euid = 0, .rootless = true}}).delegates_own);
}

TEST_CASE("in a scope it is systemd that passes controllers on", "[cgroup_delegation]") {
  cgroup::Plan scope = kCgroup;
  scope.unit.name = "box.scope";
  CHECK_FALSE(plan_of({.cgroup = scope}).wants_controllers);
  CHECK(plan_of({.cgroup = scope}).delegates_own);
}

TEST_CASE("an annotation names the cgroup below that is delegated instead", "[cgroup_delegation]") {
  CHECK(plan_of({.annotations = {{kAnnotation, "payload"}}}) ==
        Plan{.subgroup = "payload", .wants_controllers = true});
  CHECK(plan_of({.annotations = {{kAnnotation, "/a//b/./"}}}) ==
        Plan{.subgroup = "a/b", .wants_controllers = true});
  CHECK(plan_of({.annotations = {{kAnnotation, ""}}}) ==
        Plan{.delegates_own = true, .wants_controllers = true});
}

TEST_CASE("an annotation that leads elsewhere is refused", "[cgroup_delegation]") {
  for (const char* path : {"..", "../x", "a/../b", "a/..", "/", ".", "//"}) {
    CAPTURE(path);
    try {
      plan_of({.annotations = {{kAnnotation, path}}});
      FAIL("taken");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::spec);
      CHECK(error.field() == "/annotations/run.oci.delegate-cgroup");
    }
  }
  CHECK_THROWS_WITH(plan_of({.annotations = {{kAnnotation, "a"}}, .cgroup = {}}),
                    Catch::Contains("has no cgroup of its own"));
}

TEST_CASE("what is delegated is explained, and nothing else", "[cgroup_delegation]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.delegates_own = true, .uid = 5}, out);
  explain({.subgroup = "a/b"}, out);
  explain({.wants_controllers = true}, out);
  REQUIRE(out.effects().size() == 3);
  CHECK(out.effects()[0].text ==
        "give the container's cgroup, which is mounted writable in it, to its uid 5");
  CHECK(out.effects()[1].field == "/annotations/run.oci.delegate-cgroup");
  CHECK(out.effects()[2].text ==
        "have every controller passed on to the container's cgroup that can be");
}

TEST_CASE("the annotation of scopes counts in a scope only, and after the general one",
          "[cgroup_delegation]") {
  CHECK(subgroup_of({{kScopeAnnotation, "a"}}, true) == "a");
  CHECK(subgroup_of({{kScopeAnnotation, "a"}}, false).empty());
  CHECK(subgroup_of({{kScopeAnnotation, "a"}, {kAnnotation, "b"}}, true) == "b");
  CHECK(subgroup_of({}, true).empty());
}

}  // namespace
}  // namespace tare::cgroup_delegation
