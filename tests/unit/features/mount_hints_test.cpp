#include "features/mount_hints.hpp"

#include <linux/mount.h>

#include <catch2/catch.hpp>
#include <cerrno>

namespace tare::mount_hints {
namespace {

bool names(const mounts::Mount& mount, int number, std::string_view word) {
  return hint_for(mount, number).find(word) != std::string::npos;
}

}  // namespace

TEST_CASE("mount hints: what shows a namespace needs one that is new", "[mount_hints]") {
  CHECK(names({.type = "proc"}, EPERM, "pid namespace"));
  CHECK(names({.type = "sysfs"}, EPERM, "network namespace"));
  CHECK(names({.type = "mqueue"}, EPERM, "ipc namespace"));
  CHECK(names({.type = "cgroup2"}, EPERM, "cgroup namespace"));
  CHECK(hint_for({.type = "proc"}, EINVAL).empty());
  CHECK(hint_for({.type = "tmpfs"}, EPERM).empty());
}

TEST_CASE("mount hints: ids of options are to be mapped", "[mount_hints]") {
  CHECK(names({.type = "devpts", .options = {.data = {"newinstance", "gid=5"}}}, EINVAL, "gidMap"));
  CHECK(names({.type = "tmpfs", .options = {.data = {"uid=5"}}}, EINVAL, "uidMappings"));
  CHECK(hint_for({.type = "devpts", .options = {.data = {"mode=0620"}}}, EINVAL).empty());
  CHECK(hint_for({.type = "tmpfs", .options = {.data = {"uid=5"}}}, EACCES).empty());
}

TEST_CASE("mount hints: what is newer than the oldest kernel is told of", "[mount_hints]") {
  CHECK(names({.type = "overlay", .options = {.data = {"lowerdir+=/a"}}}, EINVAL, "6.7"));
  CHECK(names({.options = {.set = MOUNT_ATTR_NOSYMFOLLOW}}, EINVAL, "5.14"));
  CHECK(names({.options = {.recursive_clear = MOUNT_ATTR_NOSYMFOLLOW}}, EINVAL, "5.14"));
  CHECK(hint_for({.options = {.set = MOUNT_ATTR_RDONLY}}, EINVAL).empty());
}

TEST_CASE("mount hints: a missing type, and flags that are locked", "[mount_hints]") {
  CHECK(names({.type = "nonesuch"}, ENODEV, "no such filesystem"));
  CHECK(hint_for({}, ENODEV).empty());
  CHECK(names({.options = {.clear = MOUNT_ATTR_RDONLY}}, EPERM, "leave out"));
  CHECK(names({.options = {.recursive_clear = MOUNT_ATTR_NODEV}}, EPERM, "leave out"));
  CHECK(hint_for({.options = {.set = MOUNT_ATTR_RDONLY}}, EPERM).empty());
}

}  // namespace tare::mount_hints
