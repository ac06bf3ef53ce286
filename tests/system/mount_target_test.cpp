#include "features/mount_target.hpp"

#include <linux/mount.h>
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
using test::kRoot;
using test::kSource;
using test::nothing;
using test::Trial;
namespace fs = std::filesystem;

const std::string kCanary = "/mnt/canary";

void plant_canary() {
  test::write(kCanary + "/file", "untouched");
  fs::create_directories(kCanary + "/a/b");
}

// What is below the canary: anything more than this was put there by the container's set-up.
std::string canary() {
  int count = 0;
  for ([[maybe_unused]] const auto& found : fs::recursive_directory_iterator(kCanary)) ++count;
  const sys::Fd proc = test::own_proc();
  const bool mounted = test::mounted(proc, kCanary + "/a/b").count != 0;
  return " canary " + test::read(kCanary + "/file") + " " + std::to_string(count) +
         (mounted ? " mounted" : "");
}

std::string untouched(const std::string& answer) {
  return answer + " canary untouched 3";
}

// The rootfs has links on the way to /a/b, where a bind of a file or of a directory is to go.
std::string through_links(const std::function<void()>& links, bool directory) {
  const std::string source = directory ? kSource : kSource + "/file";
  return Trial{.mounts = bind_entry(source, "/a/b", R"("bind")"),
               .prepare =
                   [&] {
                     plant_canary();
                     test::write(kSource + "/file", "bound");
                     links();
                   },
               .afterwards = canary}
      .run([&](sys::FdRef) {
        const std::string here = directory ? "/a/b/file" : "/a/b";
        return fs::exists(here) ? test::read(here) : "not there";
      });
}

std::string proc_on(const std::string& destination, const std::function<void()>& prepare) {
  const std::string said = Trial{.mounts = entry("proc", destination),
                                 .prepare =
                                     [&] {
                                       plant_canary();
                                       prepare();
                                     },
                                 .afterwards = canary}
                               .run(nothing);
  return said;
}

std::string not_ordinary(const std::string& destination) {
  return untouched("error: error mounting \"named\" to rootfs at \"" + destination +
                   "\": filesystem \"proc\" must be mounted on ordinary directory");
}

}  // namespace

TEST_CASE("mount target: links on the way lead nowhere outside the root") {
  if (test::skip_unless_root()) return;
  for (const bool directory : {true, false}) {
    // The canary is not within the root, so the same names are made there.
    CHECK(through_links([] { fs::create_directory_symlink(kCanary + "/a", kRoot + "/a"); },
                        directory) == untouched("bound"));
    CHECK(through_links([] { fs::create_directory_symlink("../../../canary/a", kRoot + "/a"); },
                        directory) == untouched("bound"));
    CHECK(through_links(
              [] {
                fs::create_directories(kRoot + "/a");
                fs::create_symlink(kCanary + "/file", kRoot + "/a/b");
              },
              directory) == untouched("bound"));
    CHECK(through_links(
              [] {
                fs::create_directories(kRoot + "/a");
                fs::create_symlink("../none/of/this", kRoot + "/a/b");
              },
              directory) == untouched("bound"));
  }
}

TEST_CASE("mount target: a loop of links is an error and not an endless walk") {
  if (test::skip_unless_root()) return;
  const std::string said = through_links([] { fs::create_symlink("a", kRoot + "/a"); }, true);
  CHECK(said.find("too many levels of symbolic links") != std::string::npos);
  CHECK(said.ends_with(" canary untouched 3"));
}

TEST_CASE("mount target: a chain of forty-one links is an error") {
  if (test::skip_unless_root()) return;
  const std::string said = through_links(
      [] {
        fs::create_directories(kRoot + "/0/b");
        for (int i = 1; i <= 41; ++i) {
          fs::create_symlink(std::to_string(i - 1), kRoot + "/" + std::to_string(i));
        }
        fs::create_symlink("41", kRoot + "/a");
      },
      true);
  CHECK(said.find("too many levels of symbolic links") != std::string::npos);
}

TEST_CASE("mount target: a FIFO or a node in its place is covered by a file and never opened") {
  if (test::skip_unless_root()) return;
  const auto fifo = [] {
    fs::create_directories(kRoot + "/a");
    ::mkfifo((kRoot + "/a/b").c_str(), 0600);
  };
  CHECK(through_links(fifo, false) == untouched("bound"));
  CHECK(through_links(fifo, true).find("not a directory") != std::string::npos);
}

TEST_CASE("mount target: a file in the place of a directory on the way is an error") {
  if (test::skip_unless_root()) return;
  CHECK(through_links([] { test::write(kRoot + "/a"); }, true).find("not a directory") !=
        std::string::npos);
}

TEST_CASE("mount target: procfs goes on an ordinary directory, which may have to be made") {
  if (test::skip_unless_root()) return;
  CHECK(proc_on("/proc", [] {}) == untouched("done"));
  CHECK(proc_on("/new/proc", [] {}) == untouched("done"));
  CHECK(proc_on("/proc", [] { fs::create_directories(kRoot + "/proc"); }) == untouched("done"));
}

TEST_CASE("mount target: procfs goes through no symbolic link in any component") {
  if (test::skip_unless_root()) return;
  CHECK(proc_on("/proc", [] { fs::create_directory_symlink("/none", kRoot + "/proc"); }) ==
        not_ordinary("/proc"));
  CHECK(proc_on("/proc", [] {
          fs::create_directories(kRoot + "/bad");
          fs::create_directory_symlink("/bad", kRoot + "/proc");
        }) == not_ordinary("/proc"));
  CHECK(proc_on("/proc", [] { fs::create_directory_symlink(kCanary, kRoot + "/proc"); }) ==
        not_ordinary("/proc"));
  CHECK(proc_on("/a/proc", [] {
          fs::create_directories(kRoot + "/b/proc");
          fs::create_directory_symlink("/b", kRoot + "/a");
        }) == not_ordinary("/a/proc"));
  CHECK(proc_on("/proc", [] { test::write(kRoot + "/proc"); }) == not_ordinary("/proc"));
  CHECK(proc_on("/proc", [] { ::mkfifo((kRoot + "/proc").c_str(), 0600); }) ==
        not_ordinary("/proc"));
}

TEST_CASE("mount target: sysfs is as particular about its directory as procfs") {
  if (test::skip_unless_root()) return;
  const std::string said = Trial{
      .mounts = entry("sysfs", "/sys"), .prepare = [] {
        fs::create_directory_symlink("/none", kRoot + "/sys");
      }}.run(nothing);
  CHECK(said.ends_with("filesystem \"sysfs\" must be mounted on ordinary directory"));
}

TEST_CASE("mount target: a link into a procfs is no way to cover one of its files") {
  if (test::skip_unless_root()) return;
  for (const char* target : {"/proc/sys", "/proc/self/attr", "/proc", "/proc/1"}) {
    const Trial trial{.mounts = entry("proc", "/proc") + "," + entry("tmpfs", "/x"),
                      .prepare = [&] { fs::create_directory_symlink(target, kRoot + "/x"); }};
    CHECK(trial.run(nothing) ==
          "error: error mounting \"named\" to rootfs at \"/x\": \"/x\" cannot be mounted because "
          "it is inside /proc");
  }
}

TEST_CASE("mount target: a link to /proc is no way to put something else there") {
  if (test::skip_unless_root()) return;
  for (const bool exists : {true, false}) {
    const Trial trial{.mounts = entry("tmpfs", "/x"), .prepare = [&] {
                        if (exists) fs::create_directories(kRoot + "/proc");
                        fs::create_directory_symlink("proc", kRoot + "/x");
                      }};
    CHECK(trial.run(nothing).ends_with("\"/x\" cannot be mounted because it is inside /proc"));
  }
}

TEST_CASE("mount target: a link to the root is no way to cover the root") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = entry("tmpfs", "/x"),
                    .prepare = [] { fs::create_directory_symlink("../..", kRoot + "/x"); }};
  CHECK(trial.run(nothing).ends_with("mountpoint \"/x\" is on the top of rootfs"));
}

TEST_CASE("mount target: what is bound on /proc is the root of a procfs or nothing") {
  if (test::skip_unless_root()) return;
  const auto run = [](const std::string& source) {
    return Trial{.mounts = bind_entry(source, "/proc", R"("rbind")"),
                 .prepare = [] { test::write(kSource + "/self/attr/current"); }}
        .run([](sys::FdRef proc) { return test::mounted(proc, "/proc").type; });
  };
  CHECK(run("/proc") == "proc");
  for (const char* source : {kSource.c_str(), "/proc/self", "/sys"}) {
    CHECK(run(source).ends_with("\"/proc\" cannot be mounted because it is not of type proc"));
  }
}

TEST_CASE("mount target: the harmless files of procfs can be covered") {
  if (test::skip_unless_root()) return;
  const Trial trial{.mounts = entry("proc", "/proc") + "," +
                              bind_entry(kSource + "/uptime", "/proc/uptime", R"("bind")"),
                    .prepare = [] { test::write(kSource + "/uptime", "forever"); }};
  CHECK(trial.run([](sys::FdRef) { return test::read("/proc/uptime"); }) == "forever");
}

}  // namespace tare
