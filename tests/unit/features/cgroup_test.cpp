#include "features/cgroup.hpp"

#include <catch2/catch.hpp>

namespace tare::cgroup {
namespace {

Host host_in(const std::string& own) {
  Host host;
  host.cgroup.own = own;
  return host;
}

std::string path_for(const std::string& cgroups_path, const std::string& own = "/") {
  return plan({.path = cgroups_path}, {.id = "web"}, host_in(own)).path;
}

Error plan_error(const Spec& spec, const Options& options, const Host& host) {
  try {
    plan(spec, options, host);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing was refused");
}

TEST_CASE("cgroupsPath is read as it is written", "[cgroup]") {
  const spec::Document document("config.json", R"({"a": {"cgroupsPath": "/x/../y"}, "b": {}})");
  CHECK(read(document.top().at("a")).path == "/x/../y");
  CHECK(read(document.top().at("b")).path.empty());
  const spec::Document wrong("config.json", R"({"cgroupsPath": 7})");
  CHECK_THROWS_AS(read(wrong.top()), Error);
}

TEST_CASE("an absolute path starts at the tree's mount point", "[cgroup]") {
  Host host = host_in("/user.slice/me.scope");
  CHECK(plan({.path = "/docker/abc"}, {.id = "web"}, host) ==
        Plan{.mount_point = "/sys/fs/cgroup", .path = "/docker/abc"});
  host.cgroup.mount_point = "/sys/fs/cgroup/unified";
  CHECK(plan({.path = "/docker/abc"}, {.id = "web"}, host).directory() ==
        "/sys/fs/cgroup/unified/docker/abc");
}

TEST_CASE("a relative path is a sibling of the caller's own cgroup, not a child", "[cgroup]") {
  CHECK(path_for("a/b", "/user.slice/me.scope") == "/user.slice/a/b");
  CHECK(path_for("a/b", "/me.scope") == "/a/b");
  CHECK(path_for("a/b", "/") == "/a/b");
}

TEST_CASE("without a path the id is the name", "[cgroup]") {
  CHECK(path_for("", "/user.slice/me.scope") == "/user.slice/web");
  CHECK(path_for("", "/") == "/web");
}

TEST_CASE("no path leaves the tree", "[cgroup]") {
  CHECK(path_for("/../../etc") == "/etc");
  CHECK(path_for("/a/../../../b") == "/b");
  CHECK(path_for("../../../x", "/user.slice/deep/me.scope") == "/user.slice/deep/x");
  CHECK(path_for("a//./b/", "/") == "/a/b");
  // As a process sees its cgroup that is outside its cgroup namespace (cgroup_namespaces(7)).
  CHECK(path_for("x", "/../../other") == "/x");
}

TEST_CASE("a path that names the whole tree is refused", "[cgroup]") {
  for (const char* path : {"/", "/..", "/a/..", "..", ".", "a/.."}) {
    CAPTURE(path);
    const Error error = plan_error({.path = path}, {.id = "web"}, host_in("/own"));
    CHECK(error.kind() == ErrorKind::spec);
    CHECK(error.field() == "/linux/cgroupsPath");
    CHECK(error.message().find("names the whole tree") != std::string::npos);
  }
}

TEST_CASE("disabled means no cgroup, and nothing of the host or the path matters", "[cgroup]") {
  Host host;
  host.cgroup.mount_point = "";
  const Plan plan = cgroup::plan({.path = "/"}, {.id = "web", .disabled = true}, host);
  CHECK(plan == Plan{});
  CHECK_FALSE(plan.enabled());
  CHECK_FALSE(apply_in_parent(plan).directory);
}

TEST_CASE("with systemd the cgroup is that of a scope", "[cgroup]") {
  const Plan planned = plan({.path = "a.slice:libpod:web"}, {.id = "web", .systemd = true}, Host{});
  CHECK(planned.unit == systemd_unit::Unit{.name = "libpod-web.scope", .slice = "a.slice"});
  CHECK(planned.directory() == "/sys/fs/cgroup/a.slice/libpod-web.scope");
  CHECK_FALSE(planned.optional);
  CHECK_THROWS_AS(plan({.path = "/a/b"}, {.id = "web", .systemd = true}, Host{}), Error);
}

TEST_CASE("without cgroup v2 root is refused, and a plain user who names no cgroup goes without",
          "[cgroup]") {
  Host host;
  host.cgroup.mount_point = "";
  CHECK(plan_error({}, {.id = "web"}, host).kind() == ErrorKind::unsupported);
  host.rootless = true;
  CHECK(plan({}, {.id = "web"}, host) == Plan{});
  CHECK(plan_error({.path = "/mine"}, {.id = "web"}, host).kind() == ErrorKind::unsupported);
}

TEST_CASE("a cgroup is optional for the rootless who name none", "[cgroup]") {
  Host host = host_in("/user.slice/me.scope");
  CHECK_FALSE(plan({}, {.id = "web"}, host).optional);
  host.rootless = true;
  CHECK(plan({}, {.id = "web"}, host).optional);
  CHECK_FALSE(plan({.path = "mine"}, {.id = "web"}, host).optional);
  CHECK_FALSE(plan({}, {.id = "web", .rootless = false}, host).optional);
  CHECK(plan({}, {.id = "web", .rootless = true}, {}).optional);
}

TEST_CASE("the cgroup is explained by its directory", "[cgroup]") {
  Explain out;
  explain({.mount_point = "/sys/fs/cgroup", .path = "/a"}, out);
  explain({}, out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text == "make the cgroup /sys/fs/cgroup/a and start init in it");
  CHECK(out.effects()[0].field == "/linux/cgroupsPath");
  CHECK(out.effects()[1].text.find("no cgroup of its own") == 0);
}

}  // namespace
}  // namespace tare::cgroup
