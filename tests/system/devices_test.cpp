#include "features/devices.hpp"

#include <linux/sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "trial.hpp"

namespace tare {
namespace {

using test::entry;
using test::kRoot;
using test::nothing;
using test::Trial;
namespace fs = std::filesystem;

constexpr std::uint64_t kUser = CLONE_NEWNS | CLONE_NEWUSER;

// "c 1:3 666 0:0", links not followed.
std::string node(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return "missing";
  if (S_ISLNK(found.st_mode)) return "-> " + fs::read_symlink(path).string();
  if (S_ISDIR(found.st_mode)) return "directory";
  if (S_ISREG(found.st_mode)) return "file";
  const std::string type = S_ISCHR(found.st_mode) ? "c" : S_ISBLK(found.st_mode) ? "b" : "p";
  return type + " " + std::to_string(major(found.st_rdev)) + ":" +
         std::to_string(minor(found.st_rdev)) + " " + test::mode_of(path);
}

std::string device(const std::string& path, const std::string& rest) {
  return R"("devices": [{"path": ")" + path + R"(", )" + rest + "}]";
}

Trial trial_of(
    const std::string& linux_object, const std::function<void()>& prepare = [] {}) {
  return {.mounts = entry("tmpfs", "/dev", R"("mode=755")"),
          .linux_object = linux_object,
          .has_devices = true,
          .prepare = prepare};
}

Trial without_dev(const std::function<void()>& prepare) {
  return {.has_devices = true, .prepare = prepare};
}

test::Look look_at(const std::string& path) {
  return [path](sys::FdRef) { return node(path); };
}

}  // namespace

TEST_CASE("devices: the default ones are there, for all to use whatever the umask") {
  if (test::skip_unless_root()) return;
  const mode_t umask = ::umask(0077);
  CHECK(trial_of("").run([](sys::FdRef) {
    std::string all;
    for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
      all += node(std::string("/dev/") + name) + ", ";
    }
    return all;
  }) == "c 1:3 666 0:0, c 1:5 666 0:0, c 1:7 666 0:0, c 1:8 666 0:0, c 1:9 666 0:0, c 5:0 666 "
        "0:0, ");
  ::umask(umask);
}

TEST_CASE("devices: the links are there, core only with a procfs that has it") {
  if (test::skip_unless_root()) return;
  for (const bool with_proc : {true, false}) {
    Trial trial = trial_of("");
    if (with_proc) trial.mounts += "," + entry("proc", "/proc");
    const std::string core = trial.run(look_at("/dev/core"));
    CHECK(core == (with_proc && fs::exists("/proc/kcore") ? "-> /proc/kcore" : "missing"));
  }
  CHECK(trial_of("").run([](sys::FdRef) {
    return node("/dev/fd") + " " + node("/dev/stdin") + " " + node("/dev/stdout") + " " +
           node("/dev/stderr") + " " + node("/dev/ptmx");
  }) == "-> /proc/self/fd -> /proc/self/fd/0 -> /proc/self/fd/1 -> /proc/self/fd/2 -> pts/ptmx");
}

TEST_CASE("devices: one of the config has its mode and owner, and may be anywhere") {
  if (test::skip_unless_root()) return;
  CHECK(trial_of(device("/a/b/fuse", R"("type": "c", "major": 10, "minor": 229, "fileMode": 432,
                                         "uid": 5, "gid": 6)"))
            .run(look_at("/a/b/fuse")) == "c 10:229 660 5:6");
  CHECK(trial_of(device("/dev/disk", R"("type": "b", "major": 8, "minor": 1)"))
            .run(look_at("/dev/disk")) == "b 8:1 666 0:0");
  CHECK(trial_of(device("/fifo", R"("type": "p", "fileMode": 384)")).run(look_at("/fifo")) ==
        "p 0:0 600 0:0");
}

TEST_CASE("devices: set-user-ID in a mode survives the change of owner") {
  if (test::skip_unless_root()) return;
  CHECK(trial_of(device("/dev/x", R"("type": "c", "major": 1, "minor": 3, "fileMode": 2541,
                                      "uid": 5, "gid": 6)"))
            .run(look_at("/dev/x")) == "c 1:3 4755 5:6");
}

TEST_CASE("devices: an existing node must be the one that was asked for") {
  if (test::skip_unless_root()) return;
  const auto run = [](const std::function<void()>& prepare) {
    Trial trial = trial_of(device("/node", R"("type": "c", "major": 1, "minor": 3)"), prepare);
    return trial.run(look_at("/node"));
  };
  const std::string refused =
      "error: error creating device node /node: /node exists and is not device c 1:3";
  const std::string path = kRoot + "/node";
  CHECK(run([&] { ::mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 3)); }) == "c 1:3 600 0:0");
  CHECK(run([&] { ::mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 5)); }) == refused);
  CHECK(run([&] { ::mknod(path.c_str(), S_IFBLK | 0600, makedev(1, 3)); }) == refused);
  CHECK(run([&] { test::write(path); }) == refused);
  CHECK(run([&] { ::mkfifo(path.c_str(), 0600); }) == refused);
  CHECK(run([&] { fs::create_directories(path); }) == refused);
  CHECK(run([&] { fs::create_symlink("/dev/null", path); }) == refused);
}

TEST_CASE("devices: a /dev that is a link leads nowhere outside the root") {
  if (test::skip_unless_root()) return;
  for (const char* target : {"/mnt/canary", "../../mnt/canary", "../canary", "/none"}) {
    Trial trial = without_dev([&] {
      test::write("/mnt/canary/ptmx", "untouched");
      fs::create_directory_symlink(target, kRoot + "/dev");
    });
    trial.afterwards = [] {
      const auto entries = fs::directory_iterator("/mnt/canary");
      return " canary " + test::read("/mnt/canary/ptmx") + " " +
             std::to_string(std::distance(begin(entries), end(entries)));
    };
    CHECK(trial.run(look_at("/dev/null")) == "c 1:3 666 0:0 canary untouched 1");
  }
}

TEST_CASE("devices: in a /dev of the rootfs nothing is replaced") {
  if (test::skip_unless_root()) return;
  CHECK(without_dev([] {
          test::write(kRoot + "/dev/ptmx");
          test::write(kRoot + "/dev/fd");
        }).run([](sys::FdRef) { return node("/dev/ptmx") + " " + node("/dev/fd"); }) ==
        "file file");
}

TEST_CASE("devices: in a /dev of its own ptmx is the container's, whatever was copied up") {
  if (test::skip_unless_root()) return;
  Trial trial = without_dev([] { test::write(kRoot + "/dev/ptmx"); });
  trial.mounts = entry("tmpfs", "/dev", R"("tmpcopyup")");
  CHECK(trial.run(look_at("/dev/ptmx")) == "-> pts/ptmx");
}

TEST_CASE("devices: a second container in the same rootfs finds its devices as they are") {
  if (test::skip_unless_root()) return;
  CHECK(without_dev([] {
          fs::create_directories(kRoot + "/dev");
          ::mknod((kRoot + "/dev/null").c_str(), S_IFCHR | 0600, makedev(1, 3));
        }).run(look_at("/dev/null")) == "c 1:3 600 0:0");
}

TEST_CASE("devices: in a /dev that is bound nothing is made and nothing removed") {
  if (test::skip_unless_root()) return;
  Trial trial = without_dev([] { test::write(test::kSource + "/ptmx", "untouched"); });
  trial.mounts = test::bind_entry(test::kSource, "/dev", R"("bind")");
  trial.linux_object =
      R"("devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3},
                     {"path": "/else/x", "type": "c", "major": 1, "minor": 3}])";
  CHECK(trial.run([](sys::FdRef) {
    const auto entries = fs::directory_iterator("/dev");
    return test::read("/dev/ptmx") + " " +
           std::to_string(std::distance(begin(entries), end(entries))) + " " + node("/else/x");
  }) == "untouched 1 c 1:3 666 0:0");
}

TEST_CASE("devices: in a user namespace the host's nodes are bound, and work") {
  if (test::skip_unless_root()) return;
  Trial trial = trial_of("", [] { fs::create_directories(kRoot + "/dev"); });
  trial.namespaces = kUser;
  CHECK(trial.run([](sys::FdRef proc) {
    test::write("/dev/null", "into the void");
    const test::Mounted m = test::mounted(proc, "/dev/null");
    return node("/dev/null").substr(0, 5) + " " + std::to_string(m.count) + m.tags;
  }) == "c 1:3 1");
}

TEST_CASE("devices: in a user namespace a link in the node's place is refused") {
  if (test::skip_unless_root()) return;
  Trial trial = without_dev([] {
    fs::create_directories(kRoot + "/dev");
    fs::permissions(kRoot + "/dev", fs::perms(0777));
    fs::create_symlink("/mnt/canary", kRoot + "/dev/null");
  });
  trial.namespaces = kUser;
  CHECK(trial.run(nothing) ==
        "error: error creating device node /dev/null: /dev/null exists and is not device c 1:3");
}

TEST_CASE("devices: in a user namespace the host must have the device at the same path") {
  if (test::skip_unless_root()) return;
  Trial trial = trial_of(device("/dev/zero", R"("type": "c", "major": 1, "minor": 3)"));
  trial.namespaces = kUser;
  CHECK(trial.run(nothing) ==
        "error: error creating device node /dev/zero: /dev/zero of the host is not device c 1:3");
}

}  // namespace tare
