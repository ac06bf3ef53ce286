#include "features/masked_paths.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "trial.hpp"

namespace tare {
namespace {

using test::kRoot;
using test::Trial;
namespace fs = std::filesystem;

Trial masking(
    const std::string& paths, const std::function<void()>& prepare = [] {}) {
  return {.linux_object = "\"maskedPaths\": [" + paths + "]", .prepare = prepare};
}

Trial freezing(
    const std::string& paths, const std::function<void()>& prepare = [] {}) {
  return {.linux_object = "\"readonlyPaths\": [" + paths + "]", .prepare = prepare};
}

// How writing to a new file there ends.
std::string write_to(const std::string& path) {
  const int made = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  return made >= 0 ? "written" : std::strerror(errno);
}

bool is_null_device(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && S_ISCHR(found.st_mode) &&
         found.st_rdev == makedev(1, 3);
}

void secrets() {
  test::write(kRoot + "/file", "secret");
  test::write(kRoot + "/dir/file", "secret");
  test::write(kRoot + "/other/file", "secret");
}

}  // namespace

TEST_CASE("masked paths: a file is the null device, and a directory empty and read-only") {
  if (test::skip_unless_root()) return;
  CHECK(masking(R"("/file", "/dir")", secrets).run([](sys::FdRef) {
    return std::string(is_null_device("/file") ? "null " : "file ") + test::read("/file") +
           (fs::is_empty("/dir") ? "empty, " : "full, ") + write_to("/dir/new");
  }) == "null empty, Read-only file system");
}

TEST_CASE("masked paths: all directories share one filesystem of the least size") {
  if (test::skip_unless_root()) return;
  CHECK(masking(R"("/dir", "/other")", secrets).run([](sys::FdRef proc) {
    struct stat one {};
    struct stat two {};
    ::stat("/dir", &one);
    ::stat("/other", &two);
    const test::Mounted m = test::mounted(proc, "/other");
    return std::string(one.st_dev == two.st_dev ? "one" : "two") +
           (test::has(m.superblock, "nr_inodes=1") ? " small" : " large") + m.options.substr(0, 4);
  }) == "one small,ro,");
}

TEST_CASE("masked paths: many files and directories are all masked, in a user namespace too") {
  if (test::skip_unless_root()) return;
  std::string paths;
  for (int i = 0; i < 50; ++i) {
    paths += "\"/d/" + std::to_string(i) + "\", \"/f/" + std::to_string(i) + "\", ";
  }
  for (const std::uint64_t more : {0, CLONE_NEWUSER}) {
    Trial trial = masking(paths + "\"/none\"", [] {
      for (int i = 0; i < 50; ++i) {
        test::write(kRoot + "/d/" + std::to_string(i) + "/file", "secret");
        test::write(kRoot + "/f/" + std::to_string(i), "secret");
      }
    });
    trial.namespaces = CLONE_NEWNS | more;
    CHECK(trial.run([](sys::FdRef) {
      int hidden = 0;
      for (int i = 0; i < 50; ++i) {
        hidden += fs::is_empty("/d/" + std::to_string(i)) ? 1 : 0;
        hidden += is_null_device("/f/" + std::to_string(i)) ? 1 : 0;
      }
      return std::to_string(hidden);
    }) == "100");
  }
}

TEST_CASE("masked paths: a path that is named twice is masked once") {
  if (test::skip_unless_root()) return;
  CHECK(masking(R"("/file", "//file/", "/x/../file")", secrets).run([](sys::FdRef proc) {
    return std::to_string(test::mounted(proc, "/file").count);
  }) == "1");
}

TEST_CASE("masked paths: what does not exist is skipped, and not made") {
  if (test::skip_unless_root()) return;
  CHECK(masking(R"("/none", "/file/none", "/none/deep")", secrets).run([](sys::FdRef) {
    return std::string(fs::exists("/none") ? "made" : "skipped");
  }) == "skipped");
}

TEST_CASE("masked paths: a link is followed within the root, and masked where it leads") {
  if (test::skip_unless_root()) return;
  CHECK(masking(R"("/link")", [] {
          secrets();
          fs::create_symlink("../../file", kRoot + "/link");
        }).run([](sys::FdRef) {
    return std::string(is_null_device("/file") ? "masked" : "open");
  }) == "masked");
}

TEST_CASE("masked paths: a path that cannot be resolved is an error and not left open") {
  if (test::skip_unless_root()) return;
  const std::string said =
      masking(R"("/loop")", [] { fs::create_symlink("loop", kRoot + "/loop"); }).run(test::nothing);
  CHECK(said.starts_with("error: can't mask path \"/loop\": open /loop in "));
  CHECK(said.ends_with("too many levels of symbolic links"));
}

TEST_CASE("masked paths: the container's own /dev/null, whatever it is, has no part in it") {
  if (test::skip_unless_root()) return;
  CHECK(masking(R"("/file")", [] {
          secrets();
          fs::create_directories(kRoot + "/dev");
          fs::create_symlink("/other/file", kRoot + "/dev/null");
        }).run([](sys::FdRef) {
    return std::string(is_null_device("/file") ? "null " : "file ") + test::read("/other/file");
  }) == "null secret");
}

TEST_CASE("masked paths: what is mounted over a mask in the container is not so on the host") {
  if (test::skip_unless_root()) return;
  Trial trial = masking(R"("/file")", secrets);
  trial.afterwards = [] {
    return is_null_device("/dev/null") ? ", host as ever" : ", host changed";
  };
  CHECK(trial.run([](sys::FdRef proc) {
    test::mount("/other/file", "/file", nullptr, MS_BIND);
    return test::read("/file") + test::mounted(proc, "/file").tags;
  }) == "secret, host as ever");
}

TEST_CASE("masked paths: what is in a procfs is masked there, wherever its name leads by then") {
  if (test::skip_unless_root()) return;
  Trial trial = masking(R"("/proc/timer_list", "/proc/fs")");
  trial.mounts = test::entry("proc", "/proc");
  trial.before_masks = [] { test::mount("tmpfs", "/proc", "tmpfs", 0); };
  CHECK(trial.run([](sys::FdRef) {
    const std::string above = fs::is_empty("/proc") ? "nothing above, " : "masks above, ";
    ::umount2("/proc", MNT_DETACH);
    return above + (is_null_device("/proc/timer_list") ? "null " : "open ") +
           (fs::is_empty("/proc/fs") ? "empty" : "full");
  }) == "nothing above, null empty");
}

TEST_CASE("masked paths: what has been mounted over a procfs is looked up as itself") {
  if (test::skip_unless_root()) return;
  Trial trial = masking(R"("/sys/file")");
  trial.mounts =
      test::entry("sysfs", "/sys") + "," + test::bind_entry(test::kSource, "/sys", R"("bind")");
  trial.prepare = [] { test::write(test::kSource + "/file", "secret"); };
  CHECK(trial.run([](sys::FdRef) {
    return std::string(is_null_device("/sys/file") ? "null" : "open");
  }) == "null");
}

TEST_CASE("readonly paths: files and directories can be read, and not written") {
  if (test::skip_unless_root()) return;
  CHECK(freezing(R"("/file", "/dir", "/none")", secrets).run([](sys::FdRef) {
    return test::read("/file") + " " + test::read("/dir/file") + " " + write_to("/file") + " " +
           write_to("/dir/new") + " " + write_to("/other/new");
  }) == "secret secret Read-only file system Read-only file system written");
}

TEST_CASE("readonly paths: flags of the mount that they are part of are kept") {
  if (test::skip_unless_root()) return;
  Trial trial = freezing(R"("/m/dir")", [] { fs::create_directories(kRoot + "/m"); });
  trial.mounts = test::entry("tmpfs", "/m", R"("nosuid", "nodev", "noexec", "noatime")") + "," +
                 test::entry("tmpfs", "/m/dir/deep");
  CHECK(trial.run([](sys::FdRef proc) {
    return test::mounted(proc, "/m/dir").options + test::mounted(proc, "/m/dir/deep").options;
  }) == ",ro,nosuid,nodev,noexec,noatime,,rw,relatime,");
}

TEST_CASE("readonly paths: a mask within one holds") {
  if (test::skip_unless_root()) return;
  Trial trial = masking(R"("/dir/file")", secrets);
  trial.linux_object += R"(, "readonlyPaths": ["/dir"])";
  CHECK(trial.run([](sys::FdRef) {
    return std::string(is_null_device("/dir/file") ? "masked " : "open ") + write_to("/dir/new");
  }) == "masked Read-only file system");
}

}  // namespace tare
