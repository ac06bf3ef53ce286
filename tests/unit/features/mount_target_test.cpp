#include "features/mount_target.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "../../scratch.hpp"
#include "tare/error.hpp"

namespace tare::mount_target {
namespace {

namespace fs = std::filesystem;

// A root with a canary beside it.
struct Tree {
  test::Scratch scratch{};
  sys::Root root{make_root()};

  std::string path(const std::string& inside) const { return scratch.path("root" + inside); }
  sys::Fd make_root() const {
    fs::create_directories(scratch.path("canary"));
    fs::create_directories(scratch.path("root"));
    return sys::open_at(scratch.fd(), "root", O_PATH | O_DIRECTORY);
  }
  bool is(const sys::Fd& fd, const std::string& inside) const {
    const struct stat found = sys::status(fd);
    struct stat there {};
    return ::lstat(path(inside).c_str(), &there) == 0 && found.st_dev == there.st_dev &&
           found.st_ino == there.st_ino;
  }
  bool canary_is_empty() const { return fs::is_empty(scratch.path("canary")); }
};

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was refused";
}

}  // namespace

TEST_CASE("mount target: /proc is told from what only begins like it", "[mount_target]") {
  CHECK(is_in_proc("/proc"));
  CHECK(is_in_proc("/proc/1"));
  CHECK_FALSE(is_in_proc("/process"));
  CHECK_FALSE(is_in_proc("/"));
  CHECK_FALSE(is_in_proc(""));
}

TEST_CASE("mount target: the harmless files are named whole", "[mount_target]") {
  CHECK(may_cover("/proc/uptime"));
  CHECK_FALSE(may_cover("/proc"));
  CHECK_FALSE(may_cover("/proc/uptime/"));
  CHECK_FALSE(may_cover("/proc/sys/kernel"));
}

TEST_CASE("mount target: an attempt reads as callers look for it", "[mount_target]") {
  CHECK(attempt("/a", "/b") == "error mounting \"/a\" to rootfs at \"/b\"");
}

TEST_CASE("mount target: what is there is found, and what is not is made", "[mount_target]") {
  const Tree tree;
  fs::create_directories(tree.path("/there"));
  CHECK(tree.is(find(tree.root, "/there").value(), "/there"));
  CHECK_FALSE(find(tree.root, "/new"));
  for (const char* place : {"/new", "/there/new", "/other/deep/new"}) {
    const sys::Fd made = make(tree.root, place, true);
    CHECK(fs::is_directory(tree.path(place)));
    CHECK(tree.is(made, place));
  }
  for (const char* place : {"/file", "/there/file", "/third/deep/file"}) {
    const sys::Fd made = make(tree.root, place, false);
    CHECK(fs::is_regular_file(tree.path(place)));
    CHECK(tree.is(made, place));
  }
}

TEST_CASE("mount target: links lead within the root, dangling ones too", "[mount_target]") {
  const Tree tree;
  fs::create_directory_symlink(tree.scratch.path("canary"), tree.path("/absolute"));
  fs::create_directory_symlink("../../canary", tree.path("/relative"));
  fs::create_symlink("../../canary/file", tree.path("/last"));
  for (const char* place : {"/absolute/x", "/relative/x"}) {
    CHECK_FALSE(find(tree.root, place));
    make(tree.root, place, true);
    CHECK(tree.canary_is_empty());
  }
  CHECK(fs::is_directory(tree.path("/canary/x")));
  CHECK(tree.is(make(tree.root, "/last", false), "/canary/file"));
  CHECK(tree.canary_is_empty());
}

TEST_CASE("mount target: a link to the root or to /proc is refused, one elsewhere is not",
          "[mount_target]") {
  const Tree tree;
  fs::create_directories(tree.path("/proc/self"));
  fs::create_directories(tree.path("/data"));
  fs::create_directory_symlink("/", tree.path("/to-root"));
  fs::create_directory_symlink("proc", tree.path("/to-proc"));
  fs::create_directory_symlink("data", tree.path("/to-data"));
  CHECK(refusal([&] { find(tree.root, "/to-root"); }) ==
        "mountpoint \"/to-root\" is on the top of rootfs");
  CHECK(refusal([&] { find(tree.root, "/to-proc"); }) ==
        "\"/to-proc\" cannot be mounted because it is inside /proc");
  CHECK(tree.is(find(tree.root, "/to-data").value(), "/data"));
}

TEST_CASE("mount target: a dangling link to /proc is refused as well", "[mount_target]") {
  const Tree tree;
  fs::create_directory_symlink("proc", tree.path("/to-proc"));
  CHECK_FALSE(find(tree.root, "/to-proc"));
  CHECK(refusal([&] { make(tree.root, "/to-proc", true); }) ==
        "\"/to-proc\" cannot be mounted because it is inside /proc");
}

TEST_CASE("mount target: an ordinary directory is one in every component", "[mount_target]") {
  const Tree tree;
  fs::create_directories(tree.path("/real/proc"));
  fs::create_directory_symlink("real", tree.path("/linked"));
  fs::create_directory_symlink("none", tree.path("/dangling"));
  sys::make_node(tree.root.fd(), "file", S_IFREG | 0600, 0);
  const std::string refused = "filesystem \"proc\" must be mounted on ordinary directory";
  for (const char* place : {"/linked/proc", "/dangling", "/linked", "/file", "/file/proc"}) {
    CHECK(refusal([&] { open_ordinary(tree.root, place, "proc"); }) == refused);
  }
  CHECK_FALSE(fs::exists(tree.path("/none")));
  CHECK(tree.is(open_ordinary(tree.root, "/real/proc", "proc"), "/real/proc"));
  CHECK(tree.is(open_ordinary(tree.root, "/a/b/c", "proc"), "/a/b/c"));
}

TEST_CASE("mount target: a link at the end can be what is meant", "[mount_target]") {
  const Tree tree;
  fs::create_directories(tree.path("/dir"));
  fs::create_symlink("dir", tree.path("/link"));
  fs::create_symlink("../../canary", tree.path("/dir/out"));
  CHECK(tree.is(find_itself(tree.root, "/link").value(), "/link"));
  CHECK(tree.is(find_itself(tree.root, "/dir").value(), "/dir"));
  CHECK(tree.is(find_itself(tree.root, "/dir/out").value(), "/dir/out"));
  // Links before the end are followed, and may lead neither out nor onto the root.
  CHECK(tree.is(find_itself(tree.root, "/link/out").value(), "/dir/out"));
  CHECK_FALSE(find_itself(tree.root, "/dir/out/within"));
  CHECK_FALSE(find_itself(tree.root, "/missing"));
  fs::create_symlink(".", tree.path("/self"));
  CHECK(refusal([&] { find_itself(tree.root, "/self/."); }).find("on the top of rootfs") !=
        std::string::npos);
}

TEST_CASE("mount target: a link is made once, and only where nothing else is", "[mount_target]") {
  const Tree tree;
  const auto text = [&](const std::string& inside) {
    return fs::read_symlink(tree.path(inside)).string();
  };
  make_link(tree.root, "/new/deep/link", "../some/where");
  CHECK(text("/new/deep/link") == "../some/where");
  CHECK_NOTHROW(make_link(tree.root, "/new/deep/link", "../some/where"));
  CHECK(refusal([&] { make_link(tree.root, "/new/deep/link", "/other"); }) ==
        "\"/new/deep/link\" exists and is no symbolic link to \"/other\"");
  CHECK(text("/new/deep/link") == "../some/where");
  CHECK(refusal([&] { make_link(tree.root, "/new", "/other"); }).find("exists and is no") !=
        std::string::npos);
  fs::create_symlink("../canary", tree.path("/out"));
  make_link(tree.root, "/out/link", "x");
  CHECK(tree.canary_is_empty());
}

}  // namespace tare::mount_target
