#include "sys/mount.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

// sys/mount.h cannot be included beside linux/mount.h (glibc 2.36).
#ifndef MS_BIND
constexpr unsigned long MS_BIND = 4096;
constexpr unsigned long MS_PRIVATE = 1UL << 18U;
constexpr unsigned long MS_SHARED = 1UL << 20U;
#endif

namespace tare::sys {
namespace {

using test::has;
using test::mounted;
using test::on_machine;
using test::own_proc;

Fd open_path(const std::string& path) {
  return open_at(FdRef::cwd(), path, O_PATH);
}

void attach_at(const Fd& mount, const std::string& path) {
  const Fd target = open_path(path);
  attach(mount, target);
}

void set_at(const std::string& path, const MountAttributes& attributes, bool recursive) {
  const Fd mount = open_path(path);
  set_attributes(mount, attributes, recursive);
}

bool is_mount_at(const std::string& path) {
  const Fd place = open_path(path);
  return is_mount_root(place);
}

void reconfigure_at(const std::string& path, const std::vector<std::string>& options) {
  const Fd mount = open_path(path);
  reconfigure(mount, options);
}

void enter(const std::string& path) {
  const Fd directory = open_path(path);
  change_directory(directory);
}

test::Mounted mounted_now(const std::string& path) {
  const Fd proc = own_proc();
  return mounted(proc, path);
}

Fd new_tmpfs(const std::string& size = "1m") {
  NewFilesystem filesystem("tmpfs");
  filesystem.set("size", size);
  return filesystem.mount(0);
}

// The error of what is done on a machine, or "no error".
std::string fault_of(const std::function<void()>& body) {
  return on_machine([&] {
    body();
    return std::string("no error");
  });
}

TEST_CASE("a new filesystem is mounted with its options and attributes", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(on_machine([] {
          test::write("/mnt/at/.keep");
          NewFilesystem filesystem("tmpfs");
          filesystem.set("source", "named");
          filesystem.set("size", "64k");
          filesystem.set("mode", "711");
          attach_at(filesystem.mount(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), "/mnt/at");
          const test::Mounted got = mounted_now("/mnt/at");
          const bool right = got.type == "tmpfs" && got.source == "named" &&
                             has(got.options, "nosuid") && has(got.options, "noexec") &&
                             !has(got.options, "nodev") && has(got.superblock, "size=64k");
          return right ? test::mode_of("/mnt/at") : got.options + got.superblock;
        }) == "711 0:0");
}

TEST_CASE("a mount is detached by its descriptor, whatever is mounted over it", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(on_machine([] {
          test::write("/mnt/at/.keep");
          const Fd lower = new_tmpfs();
          const Fd upper = new_tmpfs();
          attach_at(lower, "/mnt/at");
          attach_at(upper, "/mnt/at");
          const Fd proc = own_proc();
          const Fd own = open_at(proc, "fd", O_PATH | O_DIRECTORY);
          detach(own, upper);
          const bool lower_is_left = is_mount_at("/mnt/at");
          detach(own, lower);
          const bool is_place = is_mount_at("/mnt/at");
          return std::string(lower_is_left ? "one" : "none") + (is_place ? ", one" : ", none");
        }) == "one, none");
}

TEST_CASE("an option that a filesystem does not take is told in its own words", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(fault_of([] { NewFilesystem("tmpfs").set("size", "1x"); }) ==
        "error: new tmpfs filesystem: set size=1x: tmpfs: Bad value for 'size': invalid argument");
  CHECK(fault_of([] { NewFilesystem("tmpfs").set("nosuch", "1"); }) ==
        "error: new tmpfs filesystem: set nosuch=1: tmpfs: Unknown parameter 'nosuch': invalid "
        "argument");
  CHECK(fault_of([] { NewFilesystem("tmpfs").set_flag("nosuch"); }) ==
        "error: new tmpfs filesystem: set nosuch: tmpfs: Unknown parameter 'nosuch': invalid "
        "argument");
  CHECK(fault_of([] { NewFilesystem("tmpfs").set("mode", "999"); }) ==
        "error: new tmpfs filesystem: set mode=999: tmpfs: Bad value for 'mode': invalid argument");
}

TEST_CASE("an option that is refused leaves those before and after it", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(on_machine([] {
          NewFilesystem filesystem("tmpfs");
          filesystem.set("size", "64k");
          try {
            filesystem.set_flag("nosuch");
          } catch (const Error&) {
            filesystem.set("mode", "700");
          }
          test::write("/mnt/at/.keep");
          attach_at(filesystem.mount(0), "/mnt/at");
          return test::mode_of("/mnt/at");
        }) == "700 0:0");
}

TEST_CASE("a type that the kernel does not have is told by name", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(fault_of([] { NewFilesystem("nosuchfs"); }) == "error: fsopen nosuchfs: no such device");
}

TEST_CASE("a filesystem without what it needs is refused when it is made", "[mount]") {
  if (test::skip_unless_root()) return;
  const std::string fault = fault_of([] { NewFilesystem("overlay").mount(0); });
  CHECK_THAT(fault, Catch::StartsWith("error: new overlay filesystem: create: ") &&
                        Catch::EndsWith(": invalid argument"));
}

TEST_CASE("a tree is cloned with what is mounted below it, or without", "[mount]") {
  if (test::skip_unless_root()) return;
  for (const bool recursive : {true, false}) {
    CHECK(on_machine([&] {
            test::write("/mnt/from/sub/file", "under");
            test::mount("tmpfs", "/mnt/from/sub", "tmpfs", 0);
            test::write("/mnt/from/sub/file", "over");
            test::write("/mnt/to/.keep");
            attach_at(clone_tree(FdRef::cwd(), "/mnt/from", recursive), "/mnt/to");
            return test::read("/mnt/to/sub/file");
          }) == (recursive ? "over" : "under"));
  }
}

TEST_CASE("a tree is cloned by descriptor, whatever its name has become", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(on_machine([] {
          test::write("/mnt/from/file", "right");
          test::write("/mnt/to/.keep");
          const Fd from = open_path("/mnt/from");
          rename_file(FdRef::cwd(), "/mnt/from", "/mnt/elsewhere");
          test::write("/mnt/from/file", "wrong");
          const Fd target = open_path("/mnt/to");
          rename_file(FdRef::cwd(), "/mnt/to", "/mnt/target");
          const Fd tree = clone_tree(from, "", false);
          attach(tree, target);
          return test::read("/mnt/target/file");
        }) == "right");
}

TEST_CASE("a path that is not there is not cloned", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(fault_of([] { clone_tree(FdRef::cwd(), "/mnt/none", false); }) ==
        "error: open_tree /mnt/none: no such file or directory");
}

TEST_CASE("a mount is read-only before anybody can see it", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(on_machine([] {
          test::write("/mnt/from/file");
          test::write("/mnt/to/.keep");
          const Fd tree = clone_tree(FdRef::cwd(), "/mnt/from", false);
          set_attributes(tree, {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV}, false);
          attach_at(tree, "/mnt/to");
          test::write("/mnt/from/file", "written");
          try {
            write_value(FdRef::cwd(), "/mnt/to/file", "x");
          } catch (const Error& error) {
            return error.message() + " " + test::read("/mnt/to/file");
          }
          return std::string("written through a read-only mount");
        }) == "open /mnt/to/file: read-only file system written");
}

TEST_CASE("attributes reach what is mounted below only where they are to", "[mount]") {
  if (test::skip_unless_root()) return;
  for (const bool recursive : {true, false}) {
    CHECK(on_machine([&] {
            test::write("/mnt/a/sub/.keep");
            test::mount("/mnt/a", "/mnt/a", nullptr, MS_BIND);
            // Or what is mounted below would be mounted on the peer as well.
            set_at("/mnt/a", {.propagation = MS_PRIVATE}, false);
            test::mount("tmpfs", "/mnt/a/sub", "tmpfs", 0);
            set_at("/mnt/a", {.set = MOUNT_ATTR_NOSUID}, recursive);
            set_at("/mnt/a", {.clear = MOUNT_ATTR_NODEV}, recursive);
            const Fd proc = own_proc();
            return std::string(has(mounted(proc, "/mnt/a").options, "nosuid") ? "top" : "none") +
                   (has(mounted(proc, "/mnt/a/sub").options, "nosuid") ? " below" : "");
          }) == (recursive ? "top below" : "top"));
  }
}

TEST_CASE("propagation is what was asked for", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(on_machine([] {
          test::write("/mnt/a/.keep");
          test::mount("/mnt/a", "/mnt/a", nullptr, MS_BIND);
          const auto tags_with = [](std::uint64_t propagation) {
            set_at("/mnt/a", {.propagation = propagation}, false);
            return mounted_now("/mnt/a").tags;
          };
          return tags_with(MS_PRIVATE) + "|" + tags_with(MS_SHARED);
        }) == "|shared");
}

TEST_CASE("attributes that cannot be are told by their names", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK_THAT(fault_of([] {
               set_at("/mnt", {.set = MOUNT_ATTR_RDONLY | (1U << 30U), .clear = MOUNT_ATTR_NODEV},
                      false);
             }),
             Catch::StartsWith("error: mount_setattr [") &&
                 Catch::EndsWith("]</mnt> (set MOUNT_ATTR_RDONLY|0x40000000, clear "
                                 "MOUNT_ATTR_NODEV, propagation 0x0): invalid argument"));
}

TEST_CASE("a mount is attached to what the descriptor holds, and a file only to a file",
          "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK_THAT(
      fault_of([] {
        test::write("/mnt/file");
        attach_at(new_tmpfs(), "/mnt/file");
      }),
      Catch::StartsWith("error: move_mount [") && Catch::EndsWith("</mnt/file>: invalid argument"));
  CHECK_THAT(fault_of([] { attach_at(open_path("/mnt"), "/mnt"); }),
             Catch::StartsWith("error: move_mount ["));
}

TEST_CASE("a filesystem takes other options while it is mounted", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(on_machine([] {
          test::write("/mnt/at/.keep");
          attach_at(new_tmpfs(), "/mnt/at");
          reconfigure_at("/mnt/at", {"size=128k", "ro"});
          const test::Mounted got = mounted_now("/mnt/at");
          return std::string(has(got.superblock, "size=128k") && has(got.superblock, "ro") ? "both"
                                                                                           : "no");
        }) == "both");
  CHECK_THAT(fault_of([] { reconfigure_at("/mnt", {"size=-"}); }),
             Catch::EndsWith("</mnt>: set size=-: tmpfs: Bad value for 'size': invalid argument"));
  CHECK_THAT(fault_of([] {
               test::write("/mnt/directory/.keep");
               reconfigure_at("/mnt/directory", {"ro"});
             }),
             Catch::StartsWith("error: fspick ["));
}

TEST_CASE("the current directory becomes the root, and the old root is gone", "[mount]") {
  if (test::skip_unless_root()) return;
  for (const bool pivot : {true, false}) {
    CHECK(on_machine([&] {
            test::write("/mnt/new/.keep");
            attach_at(new_tmpfs(), "/mnt/new");
            test::write("/mnt/new/file", "inside");
            const Fd proc = own_proc();
            // Neither pivot_root(2) nor MS_MOVE takes a mount whose parent is shared.
            set_at("/", {.propagation = MS_PRIVATE}, true);
            enter("/mnt/new");
            pivot ? pivot_root_here() : move_root_here();
            const std::string mounts = read_file(proc, "mountinfo");
            const auto lines = std::count(mounts.begin(), mounts.end(), '\n');
            return test::read("/file") + " " + current_directory() + " " +
                   (pivot ? std::to_string(lines) : "-") + " " +
                   std::to_string(list_directory(FdRef::cwd()).size());
          }) == (pivot ? "inside / 1 1" : "inside / - 1"));
  }
}

TEST_CASE("what is no mount does not become the root", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(fault_of([] {
          test::write("/mnt/directory/file");
          set_at("/", {.propagation = MS_PRIVATE}, true);
          enter("/mnt/directory");
          pivot_root_here();
        }) == "error: pivot_root(\".\", \".\"): invalid argument");
  CHECK(fault_of([] {
          test::write("/mnt/directory/file");
          enter("/mnt/directory");
          detach_here();
        }) == "error: umount2(\".\", MNT_DETACH): invalid argument");
}

TEST_CASE("a mount that was detached is gone for everybody but whoever is in it", "[mount]") {
  if (test::skip_unless_root()) return;
  CHECK(on_machine([] {
          test::write("/mnt/at/file", "under");
          attach_at(new_tmpfs(), "/mnt/at");
          test::write("/mnt/at/file", "over");
          const Fd mount = open_path("/mnt/at");
          change_directory(mount);
          detach_here();
          return read_file(mount, "file") + " " + test::read("/mnt/at/file");
        }) == "over under");
}

TEST_CASE("a mount shows ids as a user namespace maps them", "[mount]") {
  if (test::skip_unless_root()) return;
  // The namespace belongs to a process that lives until the test is over.
  CHECK(on_machine([] {
          const Child holder = spawn({.namespaces = CLONE_NEWUSER}, [] { return ::pause(); });
          for (const char* file : {"uid_map", "gid_map"}) {
            write_value(FdRef::cwd(), "/proc/" + std::to_string(holder.pid) + "/" + file,
                        "0 1000 1");
          }
          const Fd user_namespace =
              open_at(FdRef::cwd(), "/proc/" + std::to_string(holder.pid) + "/ns/user", O_RDONLY);
          test::write("/mnt/from/file");
          test::write("/mnt/to/.keep");
          const Fd tree = clone_tree(FdRef::cwd(), "/mnt/from", false);
          set_attributes(tree, {.set = MOUNT_ATTR_IDMAP, .user_namespace = user_namespace.ref()},
                         false);
          attach_at(tree, "/mnt/to");
          send_signal(holder.pidfd, 9);
          wait_for(holder.pidfd);
          return test::mode_of("/mnt/to/file");
        }) == "644 1000:1000");
}

}  // namespace
}  // namespace tare::sys
