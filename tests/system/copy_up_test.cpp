#include "features/copy_up.hpp"

#include <linux/sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "trial.hpp"

namespace tare {
namespace {

using test::entry;
using test::kRoot;
using test::mode_of;
using test::Trial;
namespace fs = std::filesystem;

const std::string kBelow = kRoot + "/below";

std::string copied(const std::function<void()>& prepare, const test::Look& look,
                   const std::string& words = R"("tmpcopyup")") {
  return Trial{.mounts = entry("tmpfs", "/below", words), .prepare = prepare}.run(look);
}

void make_socket(const std::string& path) {
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  REQUIRE(::bind(made, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  ::close(made);
}

}  // namespace

TEST_CASE("copy up: files, directories and links are copied with owners and modes") {
  if (test::skip_unless_root()) return;
  CHECK(copied(
            [] {
              test::write(kBelow + "/deep/er/file", "text");
              ::chown((kBelow + "/deep/er/file").c_str(), 7, 8);
              ::chmod((kBelow + "/deep/er/file").c_str(), 04751);
              ::chown((kBelow + "/deep").c_str(), 9, 10);
              ::chmod((kBelow + "/deep").c_str(), 01777);
              fs::create_symlink("/nowhere", kBelow + "/link");
              ::lchown((kBelow + "/link").c_str(), 11, 12);
            },
            [](sys::FdRef proc) {
              return test::mounted(proc, "/below").type + " " + test::read("/below/deep/er/file") +
                     " " + mode_of("/below/deep/er/file") + " " + mode_of("/below/deep") + " " +
                     mode_of("/below/link") + " " + fs::read_symlink("/below/link").string();
            }) == "tmpfs text 4751 7:8 1777 9:10 777 11:12 /nowhere");
}

TEST_CASE("copy up: the tmpfs looks like the directory, and what is written there stays there") {
  if (test::skip_unless_root()) return;
  CHECK(Trial{.mounts = entry("tmpfs", "/below", R"("tmpcopyup")"),
              .prepare =
                  [] {
                    test::write(kBelow + "/file", "original");
                    ::chown(kBelow.c_str(), 5, 6);
                    ::chmod(kBelow.c_str(), 0750);
                  },
              .afterwards = [] { return " " + test::read(kBelow + "/file"); }}
            .run([](sys::FdRef) {
              test::write("/below/file", "changed");
              return mode_of("/below") + " " + test::read("/below/file");
            }) == "750 5:6 changed original");
}

TEST_CASE("copy up: links are copied and never followed") {
  if (test::skip_unless_root()) return;
  CHECK(copied(
            [] {
              test::write("/mnt/canary/secret", "secret");
              fs::create_directories(kBelow);
              fs::create_symlink("/mnt/canary/secret", kBelow + "/file");
              fs::create_directory_symlink("/mnt/canary", kBelow + "/directory");
              fs::create_directory_symlink("loop", kBelow + "/loop");
            },
            [](sys::FdRef) {
              return fs::read_symlink("/below/file").string() + " " +
                     fs::read_symlink("/below/directory").string() + " " +
                     fs::read_symlink("/below/loop").string();
            }) == "/mnt/canary/secret /mnt/canary loop");
}

TEST_CASE("copy up: nodes are copied unopened, and sockets left out") {
  if (test::skip_unless_root()) return;
  CHECK(copied(
            [] {
              fs::create_directories(kBelow);
              ::mkfifo((kBelow + "/fifo").c_str(), 0640);
              ::mknod((kBelow + "/null").c_str(), S_IFCHR | 0600, makedev(1, 3));
              make_socket(kBelow + "/socket");
            },
            [](sys::FdRef) {
              struct stat node {};
              ::stat("/below/null", &node);
              return mode_of("/below/fifo") + (S_ISCHR(node.st_mode) ? " node " : " no node ") +
                     std::to_string(minor(node.st_rdev)) +
                     (fs::exists("/below/socket") ? " socket" : "");
            }) == "640 0:0 node 3");
}

TEST_CASE("copy up: a large file is copied whole") {
  if (test::skip_unless_root()) return;
  CHECK(copied(
            [] {
              test::write(kBelow + "/file");
              REQUIRE(::truncate((kBelow + "/file").c_str(), 5'000'000) == 0);
            },
            [](sys::FdRef) { return std::to_string(fs::file_size("/below/file")); }) == "5000000");
}

TEST_CASE("copy up: what does not fit is an error, and not half a copy") {
  if (test::skip_unless_root()) return;
  const std::string said = copied(
      [] {
        test::write(kBelow + "/file");
        REQUIRE(::truncate((kBelow + "/file").c_str(), 5'000'000) == 0);
      },
      test::nothing, R"("tmpcopyup", "size=64k")");
  CHECK(said.starts_with("error: error mounting \"named\" to rootfs at \"/below\": sendfile "));
  CHECK(said.ends_with("no space left on device"));
}

TEST_CASE("copy up: a directory that was not there gives an empty tmpfs") {
  if (test::skip_unless_root()) return;
  CHECK(copied([] {},
               [](sys::FdRef) {
                 return mode_of("/below") + (fs::is_empty("/below") ? " empty" : " full");
               }) == "1777 0:0 empty");
}

TEST_CASE("copy up: a read-only tmpfs is filled first") {
  if (test::skip_unless_root()) return;
  CHECK(copied([] { test::write(kBelow + "/file", "text"); },
               [](sys::FdRef proc) {
                 return test::read("/below/file") +
                        test::mounted(proc, "/below").options.substr(0, 4);
               },
               R"("tmpcopyup", "ro")") == "text,ro,");
}

}  // namespace tare
