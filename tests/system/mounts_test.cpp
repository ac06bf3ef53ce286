#include "features/mounts.hpp"

#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "trial.hpp"

namespace tare {
namespace {

using test::bind_entry;
using test::entry;
using test::has;
using test::kRoot;
using test::kSource;
using test::Mounted;
using test::nothing;
using test::Trial;
namespace fs = std::filesystem;

test::Look facts_at(const std::string& path) {
  return [path](sys::FdRef proc) {
    const Mounted m = test::mounted(proc, path);
    return m.type + " " + m.source + " " + std::to_string(m.count);
  };
}

}  // namespace

TEST_CASE("mounts: each type of filesystem is there under the name of its source") {
  if (test::skip_unless_root()) return;
  for (const std::string type : {"proc", "tmpfs", "devpts", "mqueue", "sysfs", "cgroup2"}) {
    CHECK(Trial{.mounts = entry(type, "/m")}.run(facts_at("/m")) == type + " named 1");
  }
  CHECK(Trial{.mounts = entry("cgroup", "/m")}.run(facts_at("/m")) == "cgroup2 named 1");
}

TEST_CASE("mounts: flags are on the mount, and ro on the new filesystem as well") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts =
                        entry("proc", "/m", R"("ro", "nosuid", "nodev", "noexec", "noatime")")};
  CHECK(trial.run([](sys::FdRef proc) {
    const Mounted m = test::mounted(proc, "/m");
    return m.options + " " + (has(m.superblock, "ro") ? "ro" : "rw");
  }) == ",ro,nosuid,nodev,noexec,noatime, ro");
}

TEST_CASE("mounts: sysfs of the host's own network namespace can be mounted read-only") {
  if (test::skip_unless_root()) return;
  CHECK(Trial{.mounts = entry("sysfs", "/m", R"("ro")")}.run([](sys::FdRef proc) {
    return test::mounted(proc, "/m").options.substr(0, 4);
  }) == ",ro,");
}

TEST_CASE("mounts: options that are no flags reach the filesystem, one by one and comma by comma") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts =
                        entry("tmpfs", "/m", R"("size=64k,nr_inodes=9", "mode=710", "sync")")};
  CHECK(trial.run([](sys::FdRef proc) {
    const std::string options = test::mounted(proc, "/m").superblock;
    return std::string(has(options, "size=64k") && has(options, "nr_inodes=9") &&
                               has(options, "mode=710") && has(options, "sync")
                           ? "all"
                           : options);
  }) == "all");
}

TEST_CASE("mounts: the filesystem's own words on a bad option are in the error") {
  if (test::skip_unless_root()) return;
  const std::string said = Trial{.mounts = entry("tmpfs", "/m", R"("size=many")")}.run(nothing);
  CHECK(said ==
        "error: error mounting \"named\" to rootfs at \"/m\": new tmpfs filesystem: set size=many: "
        "tmpfs: Bad value for 'size': invalid argument");
}

TEST_CASE("mounts: an unknown type is an error that names the mount") {
  if (test::skip_unless_root()) return;
  CHECK(Trial{.mounts = entry("nonesuchfs", "/m")}.run(nothing) ==
        "error: error mounting \"named\" to rootfs at \"/m\": fsopen nonesuchfs: no such device");
}

TEST_CASE("mounts: directories and files are bound, and their targets made alike") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = bind_entry(kSource, "/new/deep/dir", R"("bind")") + "," +
                              bind_entry("source/file", "/new/deep/file", R"("bind")"),
                    .prepare = [] { test::write(kSource + "/file", "text"); }};
  CHECK(trial.run([](sys::FdRef) {
    return test::read("/new/deep/dir/file") + " " + test::read("/new/deep/file") + " " +
           test::mode_of("/new") + " " + test::mode_of("/new/deep");
  }) == "text text 755 0:0 755 0:0");
}

TEST_CASE("mounts: a FIFO and a socket can be bound without being opened") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = bind_entry(kSource + "/fifo", "/fifo", R"("bind")"),
                    .prepare = [] { ::mkfifo((kSource + "/fifo").c_str(), 0640); }};
  CHECK(trial.run([](sys::FdRef) { return test::mode_of("/fifo"); }) == "640 0:0");
}

TEST_CASE("mounts: a missing bind source is found before the container exists") {
  if (test::skip_unless_root()) return;
  CHECK(
      Trial{.mounts = bind_entry("/mnt/none", "/m", R"("bind")")}.run(nothing) ==
      "error: error mounting \"/mnt/none\" to rootfs at \"/m\": open_tree /mnt/none: no such file "
      "or directory");
}

TEST_CASE("mounts: bind leaves submounts out and rbind takes them along") {
  if (test::skip_unless_root()) return;
  const auto submount = [] {
    fs::create_directories(kSource + "/sub");
    test::mount("deep", kSource + "/sub", "tmpfs", 0);
  };
  for (const std::string word : {"bind", "rbind"}) {
    const Trial trial{.mounts = bind_entry(kSource, "/m", '"' + word + '"'), .prepare = submount};
    CHECK(trial.run([](sys::FdRef proc) {
      return std::to_string(test::mounted(proc, "/m/sub").count);
    }) == (word == "bind" ? "0" : "1"));
  }
}

TEST_CASE("mounts: ro is for the top of a tree, rro for all of it") {
  if (test::skip_unless_root()) return;
  const auto submount = [] {
    fs::create_directories(kSource + "/sub");
    test::mount("deep", kSource + "/sub", "tmpfs", 0);
  };
  const auto look = [](sys::FdRef proc) {
    return test::mounted(proc, "/m").options.substr(1, 2) + " " +
           test::mounted(proc, "/m/sub").options.substr(1, 2);
  };
  const auto run = [&](const std::string& words) {
    return Trial{.mounts = bind_entry(kSource, "/m", words), .prepare = submount}.run(look);
  };
  CHECK(run(R"("rbind")") == "rw rw");
  CHECK(run(R"("rbind", "ro")") == "ro rw");
  CHECK(run(R"("rbind", "rro")") == "ro ro");
  CHECK(run(R"("rbind", "ro", "rrw")") == "rw rw");
}

TEST_CASE("mounts: a bind takes its source's flags over only when it names none itself") {
  if (test::skip_unless_root()) return;
  const auto run = [&](const std::string& words) {
    const Trial trial{.mounts = bind_entry(kSource + "/fs", "/m", words), .prepare = [] {
                        fs::create_directories(kSource + "/fs");
                        test::mount("fs", kSource + "/fs", "tmpfs",
                                    MS_RDONLY | MS_NOEXEC | MS_NODEV | MS_NOATIME);
                      }};
    return trial.run([](sys::FdRef proc) { return test::mounted(proc, "/m").options; });
  };
  CHECK(run(R"("bind")") == ",ro,nodev,noexec,noatime,");
  CHECK(run(R"("bind", "rprivate")") == ",ro,nodev,noexec,noatime,");
  CHECK(run(R"("bind", "dev")") == ",rw,noatime,");
  CHECK(run(R"("bind", "ro", "nosuid")") == ",ro,nosuid,noatime,");
  CHECK(run(R"("bind", "atime")") == ",rw,noatime,");
  CHECK(run(R"("bind", "relatime")") == ",rw,relatime,");
  CHECK(run(R"("bind", "strictatime")") == ",rw,");
  CHECK(run(R"("bind", "nodiratime")") == ",rw,nodiratime,relatime,");
}

TEST_CASE("mounts: they are made in order, later ones in and over earlier ones") {
  if (test::skip_unless_root()) return;
  const Trial trial{
      .mounts = entry("tmpfs", "/a") + "," + bind_entry(kSource, "/a/in", R"("bind")") + "," +
                bind_entry(kSource + "/two", "/b", R"("bind")") + "," + entry("tmpfs", "/b"),
      .prepare = [] {
        test::write(kSource + "/file", "text");
        test::write(kSource + "/two/file", "covered");
      }};
  CHECK(trial.run([](sys::FdRef proc) {
    return test::read("/a/in/file") + (fs::exists("/b/file") ? " seen" : " covered ") +
           std::to_string(test::mounted(proc, "/b").count);
  }) == "text covered 2");
}

TEST_CASE("mounts: a bind from within the rootfs sees what earlier mounts put there") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = bind_entry(kSource, "/first", R"("bind")") + "," +
                              bind_entry(kRoot + "/first", kRoot + "/again", R"("rbind", "ro")"),
                    .prepare = [] { test::write(kSource + "/file", "text"); }};
  CHECK(trial.run([](sys::FdRef proc) {
    return test::read("/again/file") + test::mounted(proc, "/again").options.substr(0, 4);
  }) == "text,ro,");
}

TEST_CASE("mounts: a source within the rootfs cannot lead out of it") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = bind_entry(kRoot + "/link", "/m", R"("bind")"), .prepare = [] {
                      test::write("/mnt/canary/secret");
                      fs::create_symlink("/mnt/canary", kRoot + "/link");
                    }};
  const std::string said = trial.run(nothing);
  CHECK(said.starts_with("error: error mounting \"/link\" to rootfs at \"/m\": open /link in "));
  CHECK(said.ends_with(": no such file or directory"));
}

TEST_CASE("mounts: a tmpfs has the mode of the directory that it covers, unless told otherwise") {
  if (test::skip_unless_root()) return;
  const auto run = [](const std::string& place, const std::string& words) {
    return Trial{.mounts = entry("tmpfs", place, words),
                 .prepare =
                     [] {
                       fs::create_directories(kRoot + "/there");
                       ::chmod((kRoot + "/there").c_str(), 0710);
                     }}
        .run([&](sys::FdRef) { return test::mode_of(place); });
  };
  CHECK(run("/there", "") == "710 0:0");
  CHECK(run("/there", R"("mode=1500")") == "1500 0:0");
  CHECK(run("/new", "") == "1777 0:0");
}

TEST_CASE("mounts: only a tmpfs takes over a mode, and what is bound keeps its own") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = bind_entry(kSource, "/there", R"("bind")"), .prepare = [] {
                      fs::create_directories(kRoot + "/there");
                      ::chmod((kRoot + "/there").c_str(), 0710);
                      ::chmod(kSource.c_str(), 0751);
                    }};
  CHECK(trial.run([](sys::FdRef) { return test::mode_of("/there"); }) == "751 0:0");
}

TEST_CASE("mounts: a read-only tmpfs and /dev can be written until the end") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = entry("tmpfs", "/dev", R"("ro", "mode=755")") + "," +
                              entry("tmpfs", "/dev/shm", R"("ro")") + "," +
                              entry("devpts", "/dev/pts")};
  CHECK(trial.run([](sys::FdRef proc) {
    return test::mounted(proc, "/dev").options + test::mounted(proc, "/dev/shm").options +
           test::mounted(proc, "/dev/pts").options;
  }) == ",ro,relatime,,ro,relatime,,rw,relatime,");
}

TEST_CASE("mounts: a remount changes what is there, flags and filesystem") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = entry("tmpfs", "/m", R"("size=64k")") + "," +
                              entry("tmpfs", "/m", R"("remount", "ro", "size=128k")")};
  CHECK(trial.run([](sys::FdRef proc) {
    const Mounted m = test::mounted(proc, "/m");
    return std::to_string(m.count) + m.options.substr(0, 4) +
           (has(m.superblock, "ro") && has(m.superblock, "size=128k") ? "both" : m.superblock);
  }) == "1,ro,both");
}

TEST_CASE("mounts: a remount of what is no mount is an error") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = entry("tmpfs", "/d", R"("remount", "ro")"),
                    .prepare = [] { fs::create_directories(kRoot + "/d"); }};
  CHECK(trial.run(nothing).find("invalid argument") != std::string::npos);
}

TEST_CASE("mounts: without a cgroup namespace the host's whole tree is bound") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = entry("cgroup", "/m", R"("ro", "nosuid")"),
                    .namespaces = CLONE_NEWNS,
                    .cgroup = kSource,
                    .prepare = [] {
                      // Where the trial's Host has its cgroup2 tree.
                      ::mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, nullptr);
                      test::write("/sys/fs/cgroup/cgroup.procs", "all");
                    }};
  CHECK(trial.run([](sys::FdRef proc) {
    return test::read("/m/cgroup.procs") + test::mounted(proc, "/m").options.substr(0, 11);
  }) == "all,ro,nosuid,");
}

TEST_CASE("mounts: what is in a user namespace is bound from where only the host's root may go") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = bind_entry("/mnt/closed/source", "/m", R"("bind", "ro")"),
                    .namespaces = CLONE_NEWNS | CLONE_NEWUSER,
                    .prepare = [] {
                      test::write("/mnt/closed/source/file", "text");
                      fs::create_directories(kRoot + "/m");
                      fs::permissions("/mnt/closed", fs::perms(0700));
                    }};
  CHECK(trial.run([](sys::FdRef) { return test::read("/m/file"); }) == "text");
}

TEST_CASE(
    "mounts: in a user namespace without a network of its own /sys is the host's, read-only") {
  const Trial trial{.mounts = entry("sysfs", "/sys", R"("nosuid")"),
                    .namespaces = CLONE_NEWNS | CLONE_NEWUSER,
                    .prepare = [] { fs::create_directories(kRoot + "/sys"); }};
  CHECK(trial.run([](sys::FdRef proc) {
    const Mounted m = test::mounted(proc, "/sys");
    return m.type + m.options.substr(0, 11);
  }) == "sysfs,ro,nosuid,");
}

TEST_CASE("mounts: a bind is a slave of the host's mount, and gives nothing back") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = bind_entry(kSource, "/m", R"("rbind")"),
                    .prepare =
                        [] {
                          fs::create_directories(kSource + "/sub");
                          test::mount(kSource, kSource, nullptr, MS_BIND);
                        },
                    .afterwards =
                        [] {
                          const sys::Fd proc = test::own_proc();
                          return ", outside " +
                                 std::to_string(test::mounted(proc, kSource + "/sub").count);
                        }};
  CHECK(trial.run([](sys::FdRef proc) {
    test::mount("new", "/m/sub", "tmpfs", 0);
    return test::mounted(proc, "/m").tags + " inside " +
           std::to_string(test::mounted(proc, "/m/sub").count);
  }) == "master inside 1, outside 0");
}

TEST_CASE("mounts: a bind gets the propagation that it asks for, also where the root is shared") {
  if (test::skip_unless_root()) return;
  const auto run = [](const std::string& words, std::uint64_t root) {
    const Trial trial{
        .mounts = bind_entry(kSource, "/m", words), .propagation = root, .prepare = [] {
          fs::create_directories(kSource + "/sub");
          test::mount("deep", kSource + "/sub", "tmpfs", 0);
          test::mount(kSource, kSource, nullptr, MS_BIND | MS_REC);
        }};
    return trial.run([](sys::FdRef proc) {
      return test::mounted(proc, "/m").tags + "/" + test::mounted(proc, "/m/sub").tags;
    });
  };
  CHECK(run(R"("rbind")", 0) == "master/master");
  CHECK(run(R"("rbind", "rprivate")", 0) == "/");
  CHECK(run(R"("rbind", "private")", 0) == "/master");
  CHECK(run(R"("rbind", "rslave")", 0) == "master/master");
  CHECK(run(R"("rbind", "rshared")", 0) == "shared master/shared master");
  CHECK(run(R"("rbind", "runbindable")", 0) == "unbindable/unbindable");
  CHECK(run(R"("rbind", "rprivate", "shared")", 0) == "shared/");
  CHECK(run(R"("rbind")", MS_SHARED) == "shared/shared");
  CHECK(run(R"("rbind", "slave")", MS_SHARED) == "master/shared");
  CHECK(run(R"("rbind")", MS_PRIVATE) == "/");
}

}  // namespace tare
