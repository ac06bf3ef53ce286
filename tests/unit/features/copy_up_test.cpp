#include "features/copy_up.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "../../scratch.hpp"
#include "tare/error.hpp"

namespace tare::copy_up {
namespace {

namespace fs = std::filesystem;

unsigned mode_of(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777U : ~0U;
}

}  // namespace

TEST_CASE("copy up: a tree is copied with its contents, modes and links", "[copy_up]") {
  const test::Scratch from;
  const test::Scratch to;
  fs::create_directories(from.path("a/b"));
  from.write("a/b/file", "text");
  ::chmod(from.path("a/b/file").c_str(), 04711);
  ::chmod(from.path("a").c_str(), 01750);
  fs::create_symlink("/nowhere", from.path("a/link"));
  ::mkfifo(from.path("fifo").c_str(), 0620);
  ::chmod(from.path("fifo").c_str(), 0620);

  copy_tree(from.fd(), to.fd());

  CHECK(to.read("a/b/file") == "text");
  CHECK(mode_of(to.path("a/b/file")) == 04711);
  CHECK(mode_of(to.path("a")) == 01750);
  CHECK(fs::read_symlink(to.path("a/link")) == "/nowhere");
  CHECK(fs::is_fifo(to.path("fifo")));
  CHECK(mode_of(to.path("fifo")) == 0620);
}

TEST_CASE("copy up: a link to a directory is not entered", "[copy_up]") {
  const test::Scratch outside;
  const test::Scratch from;
  const test::Scratch to;
  outside.write("secret", "secret");
  fs::create_directory_symlink(outside.path(), from.path("link"));
  copy_tree(from.fd(), to.fd());
  CHECK(fs::is_symlink(to.path("link")));
  CHECK(std::distance(fs::directory_iterator(to.path()), {}) == 1);
}

TEST_CASE("copy up: nothing that is in the place of a copy is written to", "[copy_up]") {
  const test::Scratch outside;
  const test::Scratch from;
  const test::Scratch to;
  from.write("file", "new");
  fs::create_symlink(outside.write("victim", "old"), to.path("file"));
  CHECK_THROWS_AS(copy_tree(from.fd(), to.fd()), Error);
  CHECK(outside.read("victim") == "old");
}

TEST_CASE("copy up: an empty directory is copied to nothing", "[copy_up]") {
  const test::Scratch from;
  const test::Scratch to;
  copy_tree(from.fd(), to.fd());
  CHECK(fs::is_empty(to.path()));
}

}  // namespace tare::copy_up
