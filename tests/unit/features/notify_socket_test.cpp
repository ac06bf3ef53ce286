#include "features/notify_socket.hpp"

#include <linux/mount.h>

#include <catch2/catch.hpp>

namespace tare::notify_socket {
namespace {

namespaces::Plan own_mounts() {
  namespaces::Plan plan;
  plan.create = namespaces::clone_flag(namespaces::Type::mount);
  return plan;
}

TEST_CASE("a socket is bound and named where there is a manager", "[notify_socket]") {
  mounts::Spec mounts;
  environment::Spec environment{.variables = {"NOTIFY_SOCKET=/of/the/config"}};
  add_to({.directory = "/run/tare/web/notify"}, mounts, environment);
  REQUIRE(mounts.entries.size() == 1);
  const mounts::Entry& entry = mounts.entries[0];
  CHECK(entry.destination == "/run/notify");
  CHECK(entry.source == "/run/tare/web/notify");
  CHECK(entry.options.bind);
  CHECK(entry.options.set ==
        (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  CHECK(environment.variables.back() == "NOTIFY_SOCKET=/run/notify/notify.sock");
}

TEST_CASE("nothing is added where there is no manager", "[notify_socket]") {
  mounts::Spec mounts;
  environment::Spec environment;
  add_to({}, mounts, environment);
  CHECK(mounts.entries.empty());
  CHECK(environment.variables.empty());
}

TEST_CASE("a container among the host's mounts gets no socket", "[notify_socket]") {
  CHECK(plan("/run/tare/web/notify", {}) == Plan{});
  CHECK(plan("", own_mounts()) == Plan{});
  CHECK(plan("/run/tare/web/notify", own_mounts()) == Plan{.directory = "/run/tare/web/notify"});
}

TEST_CASE("a socket is explained where there is one", "[notify_socket]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.directory = "/d"}, out);
  REQUIRE(out.effects().size() == 1);
  CHECK(out.effects()[0].text ==
        "pass READY= from /run/notify/notify.sock on to our own $NOTIFY_SOCKET");
}

}  // namespace
}  // namespace tare::notify_socket
