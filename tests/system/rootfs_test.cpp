#include "features/rootfs.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "sys/file.hpp"

namespace tare {
namespace {

using test::Mounted;

const std::string kRoot = "/mnt/rootfs";

// A root with one file in it, entered; then `look` tells what is there.
std::string enter(const rootfs::Plan& plan, const std::function<std::string(sys::FdRef)>& look,
                  std::uint64_t namespaces = CLONE_NEWNS) {
  sys::Fd tree = rootfs::open_source(plan);
  return test::in_child(namespaces, [&] {
    const sys::Fd proc = test::own_proc();
    const sys::Root root = rootfs::attach_in_init(plan, std::move(tree));
    rootfs::enter_in_init(plan, root);
    rootfs::finish_in_init(plan, root);
    return look(proc);
  });
}

std::string attempt_to_open(const std::string& path) {
  return test::on_machine([&] {
    test::write("/mnt/file");
    std::filesystem::create_directories("/mnt/real");
    std::filesystem::create_symlink("/mnt/real", "/mnt/link");
    ::mkfifo("/mnt/fifo", 0600);
    rootfs::open_source({.path = path});
    return std::string("opened");
  });
}

std::string propagation_of_root(std::uint64_t propagation) {
  return test::on_machine([&] {
    test::write(kRoot + "/file");
    test::mount(kRoot, kRoot, nullptr, MS_BIND);
    return enter({.path = kRoot, .propagation = propagation},
                 [](sys::FdRef proc) { return test::mounted(proc, "/").tags; });
  });
}

}  // namespace

TEST_CASE("rootfs: it becomes the root and nothing else of the host is left") {
  if (test::skip_unless_root()) return;
  for (const std::uint64_t more : {0, CLONE_NEWUSER, CLONE_NEWPID}) {
    CHECK(test::on_machine([&] {
            test::write(kRoot + "/file", "inside");
            std::filesystem::permissions("/mnt", std::filesystem::perms(0755));
            return enter(
                {.path = kRoot},
                [](sys::FdRef proc) {
                  const std::string info = sys::read_file(proc, "mountinfo");
                  return test::read("/file") + " " +
                         std::to_string(std::count(info.begin(), info.end(), '\n')) + " " +
                         sys::current_directory();
                },
                CLONE_NEWNS | more);
          }) == "inside 1 /");
  }
}

TEST_CASE("rootfs: what is mounted below it comes along") {
  if (test::skip_unless_root()) return;
  CHECK(test::on_machine([] {
          std::filesystem::create_directories(kRoot + "/below");
          test::mount("deep", kRoot + "/below", "tmpfs", 0);
          test::write(kRoot + "/below/file", "deep");
          return enter({.path = kRoot}, [](sys::FdRef proc) {
            return test::read("/below/file") + " " + test::mounted(proc, "/below").tags;
          });
        }) == "deep master");
}

TEST_CASE("rootfs: read-only concerns the root, and not what is mounted below it") {
  if (test::skip_unless_root()) return;
  CHECK(test::on_machine([] {
          std::filesystem::create_directories(kRoot + "/below");
          test::mount("deep", kRoot + "/below", "tmpfs", MS_NODEV);
          return enter({.path = kRoot, .readonly = true}, [](sys::FdRef proc) {
            const bool below = test::has(test::mounted(proc, "/below").options, "rw");
            const bool super = test::has(test::mounted(proc, "/").superblock, "rw");
            return test::mounted(proc, "/").options.substr(0, 4) + (below ? " below rw" : "") +
                   (super ? " superblock rw" : "");
          });
        }) == ",ro, below rw superblock rw");
}

TEST_CASE("rootfs: it stays writable until the end") {
  if (test::skip_unless_root()) return;
  CHECK(test::on_machine([] {
          const rootfs::Plan plan{.path = kRoot, .readonly = true};
          std::filesystem::create_directories(kRoot);
          sys::Fd tree = rootfs::open_source(plan);
          return test::in_child(CLONE_NEWNS, [&] {
            const sys::Root root = rootfs::attach_in_init(plan, std::move(tree));
            rootfs::enter_in_init(plan, root);
            sys::make_directory(root.fd(), "made", 0755);
            rootfs::finish_in_init(plan, root);
            try {
              sys::make_directory(root.fd(), "late", 0755);
            } catch (const Error& error) {
              return std::string(error.errno_value() == EROFS ? "read-only" : error.what());
            }
            return std::string("both");
          });
        }) == "read-only");
}

TEST_CASE("rootfs: the root gets the propagation that the config asks for") {
  if (test::skip_unless_root()) return;
  CHECK(propagation_of_root(0).empty());
  CHECK(propagation_of_root(MS_PRIVATE).empty());
  CHECK(propagation_of_root(MS_PRIVATE | MS_REC).empty());
  CHECK(propagation_of_root(MS_SLAVE) == "master");
  CHECK(propagation_of_root(MS_SLAVE | MS_REC) == "master");
  CHECK(propagation_of_root(MS_SHARED) == "shared");
  CHECK(propagation_of_root(MS_SHARED | MS_REC) == "shared");
  CHECK(propagation_of_root(MS_UNBINDABLE) == "unbindable");
  CHECK(propagation_of_root(MS_UNBINDABLE | MS_REC) == "unbindable");
}

TEST_CASE("rootfs: a mount in the container never reaches the host, even from a shared root") {
  if (test::skip_unless_root()) return;
  for (const std::uint64_t propagation : {0, MS_SHARED | MS_REC, MS_SLAVE | MS_REC}) {
    CHECK(test::on_machine([&] {
            std::filesystem::create_directories(kRoot + "/m");
            test::mount(kRoot, kRoot, nullptr, MS_BIND);
            const std::string inside =
                enter({.path = kRoot, .propagation = propagation}, [](sys::FdRef proc) {
                  test::mount("new", "/m", "tmpfs", 0);
                  return std::to_string(test::mounted(proc, "/m").count);
                });
            const sys::Fd proc = test::own_proc();
            return inside + " inside, " + std::to_string(test::mounted(proc, kRoot + "/m").count) +
                   " outside, " + std::to_string(test::mounted(proc, "/mnt").count) +
                   " of the host's own";
          }) == "1 inside, 0 outside, 1 of the host's own");
  }
}

TEST_CASE("rootfs: without pivot_root the host's procfs and sysfs are gone, the container's not") {
  if (test::skip_unless_root()) return;
  CHECK(test::on_machine([] {
          const rootfs::Plan plan{.path = kRoot, .no_pivot = true};
          test::write(kRoot + "/file", "inside");
          std::filesystem::create_directories(kRoot + "/proc");
          test::mount("own", kRoot + "/proc", "proc", 0);
          sys::Fd tree = rootfs::open_source(plan);
          return test::in_child(CLONE_NEWNS, [&] {
            const sys::Root root = rootfs::attach_in_init(plan, std::move(tree));
            // A hold on the host's tree, which mountinfo does not show to who is in a chroot.
            const sys::Fd host = sys::open_at(sys::FdRef::cwd(), "/", O_PATH | O_DIRECTORY);
            rootfs::enter_in_init(plan, root);
            const bool proc = sys::find_at(host, "proc/self", O_PATH).has_value();
            const bool sysfs = sys::find_at(host, "sys/kernel", O_PATH).has_value();
            return test::read("/file") + (proc ? " proc" : "") + (sysfs ? " sysfs" : "") +
                   (std::filesystem::exists("/proc/self") ? ", its own" : "");
          });
        }) == "inside, its own");
}

TEST_CASE("rootfs: what is no directory is refused with its name") {
  if (test::skip_unless_root()) return;
  CHECK(attempt_to_open("/mnt/real") == "opened");
  CHECK(attempt_to_open("/mnt/none") ==
        "error: invalid rootfs: stat /mnt/none: no such file or directory");
  CHECK(attempt_to_open("/mnt/file") == "error: invalid rootfs: /mnt/file is not a directory");
  CHECK(attempt_to_open("/mnt/fifo") == "error: invalid rootfs: /mnt/fifo is not a directory");
  CHECK(attempt_to_open("/dev/null") == "error: invalid rootfs: /dev/null is not a directory");
  CHECK(attempt_to_open("/mnt/link") ==
        "error: invalid rootfs: not an absolute path, or a symlink");
}

}  // namespace tare
