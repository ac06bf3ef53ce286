#include "stages/claim.hpp"

#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "state/store.hpp"

namespace tare::stages {
namespace {

CreateRequest request() {
  return {.id = "web", .bundle = "/bundle"};
}

Bundle bundle() {
  Bundle bundle{.oci_version = "1.2.0",
                .annotations = {{"org.example.name", "web"}},
                .process = "{}",
                .linux_part = "{\"personality\":{}}"};
  Plan& plan = bundle.plan;
  plan.rootfs.path = "/bundle/rootfs";
  plan.cgroup = {.mount_point = "/sys/fs/cgroup", .path = "/pod/web"};
  plan.namespaces.create = CLONE_NEWPID | CLONE_NEWUSER;
  plan.id_map.uids = {{.container_id = 0, .host_id = 100000, .size = 10}};
  plan.id_map.deny_setgroups = true;
  plan.rootless = true;
  plan.hooks.poststop = {{.path = "/bin/clear"}};
  plan.seccomp.enabled = true;
  plan.seccomp.listener = {.path = "/run/agent", .metadata = "x"};
  plan.cgroup_resources.memory = {.limit_bytes = 4096, .swap_bytes = -1};
  return bundle;
}

TEST_CASE("a record tells what later commands ask, of a container without a process", "[claim]") {
  const test::Scratch scratch;
  const Record record = record_of(request(), bundle(), scratch.fd());
  CHECK(record.id == "web");
  CHECK(record.oci_version == "1.2.0");
  CHECK(record.bundle == "/bundle");
  CHECK(record.rootfs == "/bundle/rootfs");
  CHECK(record.init == InitProcess{});
  CHECK(record.owner == ::geteuid());
  CHECK(record.cgroup_directory == "/sys/fs/cgroup/pod/web");
  CHECK(record.private_pids);
  CHECK(record.namespaces == (CLONE_NEWPID | CLONE_NEWUSER));
  CHECK(record.uid_map == id_map::to_text(bundle().plan.id_map.uids));
  CHECK(record.annotations == bundle().annotations);
  CHECK_FALSE(record.has_poststart);
  CHECK(record.has_poststop);
  CHECK(record.has_seccomp);
  CHECK(record.memory_limit_bytes == 4096);
  CHECK(record.memory_swap_bytes == -1);
  CHECK(record.boot_id == state::boot_of(scratch.fd()).value_or(""));
  CHECK(!record.created.empty());
}

TEST_CASE("an intent has what undoes a start, and what exec takes from the config", "[claim]") {
  const test::Scratch scratch;
  const Record record = record_of(request(), bundle(), scratch.fd());
  const Intent intent = intent_of(request(), bundle(), record);
  CHECK(intent.id == "web");
  CHECK(intent.boot_id == record.boot_id);
  CHECK(intent.cgroup_directory == record.cgroup_directory);
  CHECK(intent.process == "{}");
  CHECK(intent.linux_part == "{\"personality\":{}}");
  CHECK(intent.namespaces == record.namespaces);
  CHECK(intent.user_mapped);
  CHECK(intent.setgroups_denied);
  CHECK(intent.rootless);
  CHECK(intent.seccomp_listener == "/run/agent");
  CHECK(intent.seccomp_metadata == "x");
  CHECK_THAT(intent.hooks, Catch::Contains("/bin/clear"));
}

TEST_CASE("what is not asked for is empty in both", "[claim]") {
  const test::Scratch scratch;
  const Bundle plain{.process = "{}"};
  const Record record = record_of(request(), plain, scratch.fd());
  const Intent intent = intent_of(request(), plain, record);
  CHECK(record.cgroup_directory.empty());
  CHECK(record.scope.name.empty());
  CHECK_FALSE(record.private_pids);
  CHECK_FALSE(record.has_seccomp);
  CHECK(intent.hooks.empty());
  CHECK_FALSE(intent.user_mapped);
  CHECK_FALSE(intent.rootless);
}

}  // namespace
}  // namespace tare::stages
