#include "sys/cgroup_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

// A directory of its own for each test, gone at its end.
class Scratch {
 public:
  Scratch() {
    char name[] = "/tmp/tare-cgroup-file-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
    dir_ = open_at(FdRef::cwd(), path_, O_RDONLY | O_DIRECTORY);
  }
  ~Scratch() {
    for (const std::string& name : list_directory(dir_)) {
      if (::unlinkat(dir_.number(), name.c_str(), 0) != 0) try_remove_directory(dir_, name);
    }
    try_remove_directory(FdRef::cwd(), path_);
  }
  FdRef dir() const { return dir_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& bytes) {
    write_all(open_at(dir_, name, O_WRONLY | O_CREAT, 0600), bytes);
  }

 private:
  static void write_all(const Fd& file, const std::string& bytes) { sys::write_all(file, bytes); }
  std::string path_;
  Fd dir_;
};

TEST_CASE("a value that cannot be written gives its errno", "[cgroup_file]") {
  Scratch scratch;
  scratch.write("present", "");
  CHECK(try_write_value(scratch.dir(), "present", "7") == 0);
  CHECK(read_value(scratch.dir(), "present") == "7");
  CHECK(try_write_value(scratch.dir(), "absent", "7") == ENOENT);
  CHECK_FALSE(find_status(scratch.dir(), "absent"));
}

TEST_CASE("links are not followed to what is read or written", "[cgroup_file]") {
  Scratch scratch;
  scratch.write("target", "secret");
  REQUIRE(make_symlink("target", scratch.dir(), "link"));
  CHECK(try_write_value(scratch.dir(), "link", "7") == ELOOP);
  CHECK_THROWS_AS(read_value(scratch.dir(), "link"), Error);
  CHECK(read_value(scratch.dir(), "target") == "secret");
}

TEST_CASE("an absent file is nullopt, and an empty one is empty", "[cgroup_file]") {
  Scratch scratch;
  scratch.write("empty", "");
  CHECK(read_value(scratch.dir(), "absent") == std::nullopt);
  CHECK_FALSE(find_file(scratch.dir(), "absent"));
  CHECK(read_value(scratch.dir(), "empty") == "");
}

TEST_CASE("a long value is read whole, and again from its start", "[cgroup_file]") {
  Scratch scratch;
  for (const std::size_t size : {3967U, 3968U, 3969U, 4095U, 4096U, 4097U, 100000U}) {
    CAPTURE(size);
    const std::string name = std::to_string(size);
    scratch.write(name, std::string(size, 'x'));
    const std::optional<Fd> file = find_file(scratch.dir(), name);
    REQUIRE(file);
    CHECK(read_value(*file) == std::string(size, 'x'));
    CHECK(read_value(*file) == std::string(size, 'x'));
  }
}

TEST_CASE("only directories are listed, and none costs no listing", "[cgroup_file]") {
  Scratch scratch;
  scratch.write("file", "");
  CHECK(list_directories(scratch.dir()).empty());
  REQUIRE(make_directory(scratch.dir(), "b", 0700));
  REQUIRE(make_directory(scratch.dir(), "a", 0700));
  REQUIRE(make_symlink("a", scratch.dir(), "link"));
  std::vector<std::string> names = list_directories(scratch.dir());
  std::ranges::sort(names);
  CHECK(names == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a directory is found, absent, or an error when it is something else", "[cgroup_file]") {
  Scratch scratch;
  scratch.write("file", "");
  REQUIRE(make_directory(scratch.dir(), "a", 0700));
  REQUIRE(make_symlink("a", scratch.dir(), "link"));
  CHECK(find_directory(scratch.dir(), "a"));
  CHECK_FALSE(find_directory(scratch.dir(), "absent"));
  CHECK_THROWS_AS(find_directory(scratch.dir(), "file"), Error);
  CHECK_THROWS_AS(find_directory(scratch.dir(), "link"), Error);
}

TEST_CASE("making and removing directories tell why not", "[cgroup_file]") {
  Scratch scratch;
  CHECK(try_make_directory(scratch.path("a"), 0700) == 0);
  CHECK(try_make_directory(scratch.path("a"), 0700) == EEXIST);
  CHECK(try_make_directory(scratch.path("x/y"), 0700) == ENOENT);
  CHECK(try_remove_directory(scratch.dir(), "a") == 0);
  CHECK(try_remove_directory(scratch.dir(), "a") == ENOENT);
}

TEST_CASE("waiting for a change that does not come ends in time", "[cgroup_file]") {
  // mountinfo notifies like cgroup.events, and nothing is mounted between these two lines.
  const Fd file = open_at(FdRef::cwd(), "/proc/self/mountinfo", O_RDONLY);
  CHECK_FALSE(await_change(file, 1));
}

}  // namespace
}  // namespace tare::sys
