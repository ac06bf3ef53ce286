#include "sys/path.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "../../scratch.hpp"
#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

using test::Scratch;

// A root with something secret beside it, which nothing may reach.
class Jail {
 public:
  Jail() {
    make_directory(scratch_.fd(), "root", 0755);
    make_directory(scratch_.fd(), "outside", 0755);
    scratch_.write("outside/secret", "secret");
    make_directory(scratch_.fd(), "root/etc", 0755);
    scratch_.write("root/etc/passwd", "inside");
  }

  Fd top() const { return open_at(scratch_.fd(), "root", O_PATH | O_DIRECTORY); }
  Root root() const { return Root(top()); }
  void link(const std::string& target, const std::string& name) const {
    REQUIRE(make_symlink(target, scratch_.fd(), "root/" + name));
  }
  void directory(const std::string& name) const {
    REQUIRE(make_directory(scratch_.fd(), "root/" + name, 0755));
  }
  bool has(const std::string& name) const { return scratch_.has("root/" + name); }
  bool is_directory(const std::string& name) const {
    const auto found = find_status(scratch_.fd(), "root/" + name);
    return found && S_ISDIR(found->st_mode);
  }
  // What lies outside, which must stay as it was.
  bool outside_is_untouched() const {
    const Fd outside = open_at(scratch_.fd(), "outside", O_PATH);
    return list_directory(outside) == std::vector<std::string>{"secret"} &&
           list_directory(scratch_.fd()).size() == 2 && scratch_.read("outside/secret") == "secret";
  }
  const Scratch& scratch() const { return scratch_; }

 private:
  Scratch scratch_;
};

int errno_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.errno_value();
  }
  return 0;
}

// Whether both are the same object of the filesystem.
bool same(const Fd& one, const Fd& other) {
  const struct stat a = status(one);
  const struct stat b = status(other);
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

TEST_CASE("a path is made canonical by its text", "[path]") {
  const auto [path, clean] = GENERATE(table<std::string, std::string>({
      {"", "/"},
      {"/", "/"},
      {"//", "/"},
      {".", "/"},
      {"..", "/"},
      {"../../..", "/"},
      {"a", "/a"},
      {"/a/", "/a"},
      {"/a/../../b//c/", "/b/c"},
      {"/a/./b/.", "/a/b"},
      {"/a/b/../..", "/"},
      {"/...", "/..."},
      {"/..a/.b", "/..a/.b"},
      {"/a/b/../c/../d", "/a/d"},
      {"/a /b\n", "/a /b\n"},
  }));
  CHECK(clean_path(path) == clean);
}

TEST_CASE("a path names the same with and without a slash in front", "[path]") {
  const Jail jail;
  for (const char* path : {"etc/passwd", "/etc/passwd", "//etc/./passwd", "/../../etc/passwd"}) {
    const Fd file = jail.root().open(path, O_RDONLY);
    CHECK(read_all(file) == "inside");
  }
}

TEST_CASE("no link leads out of the root", "[path]") {
  const Jail jail;
  jail.link("../outside/secret", "relative");
  jail.link("../../../../../.." + jail.scratch().path("outside/secret"), "deep");
  jail.link(jail.scratch().path("outside/secret"), "absolute");
  jail.link("..", "up");
  jail.link("/", "top");
  for (const char* path : {"relative", "deep", "absolute", "up/outside/secret", "../outside/secret",
                           "etc/../../outside/secret", "top/../outside/secret"}) {
    CAPTURE(path);
    CHECK_FALSE(jail.root().find(path, O_RDONLY));
    CHECK(errno_of([&] { jail.root().open(path, O_RDONLY); }) == ENOENT);
  }
  CHECK(same(jail.root().open("up", O_PATH), jail.top()));
  CHECK(same(jail.root().open("top/../..", O_PATH), jail.top()));
}

TEST_CASE("an absolute link starts at the root again", "[path]") {
  const Jail jail;
  jail.link("/etc/passwd", "link");
  const Fd file = jail.root().open("link", O_RDONLY);
  CHECK(read_all(file) == "inside");
}

TEST_CASE("links in a circle end with an error and so do 41 in a row", "[path]") {
  const Jail jail;
  jail.link("b", "a");
  jail.link("a", "b");
  CHECK(errno_of([&] { jail.root().find("a", O_PATH); }) == ELOOP);
  CHECK(errno_of([&] { jail.root().make_directories("a", 0755); }) == ELOOP);
  CHECK(errno_of([&] { jail.root().make_file("a", 0644); }) == ELOOP);
  jail.link("etc", "l1");
  for (int n = 2; n <= 41; ++n) jail.link("l" + std::to_string(n - 1), "l" + std::to_string(n));
  CHECK(jail.root().find("l40", O_PATH | O_DIRECTORY));
  CHECK(errno_of([&] { jail.root().find("l41", O_PATH); }) == ELOOP);
  CHECK(errno_of([&] { jail.root().make_directories("l41", 0755); }) == ELOOP);
  CHECK(errno_of([&] { jail.root().make_file("l41", 0644); }) == ELOOP);
}

TEST_CASE("40 links to nothing are made good and 41 are not", "[path]") {
  const Jail jail;
  jail.link("nothing", "l1");
  for (int n = 2; n <= 41; ++n) jail.link("l" + std::to_string(n - 1), "l" + std::to_string(n));
  CHECK(errno_of([&] { jail.root().make_directories("l41", 0755); }) == ELOOP);
  CHECK(errno_of([&] { jail.root().make_file("l41", 0644); }) == ELOOP);
  CHECK_FALSE(jail.has("nothing"));
  CHECK_NOTHROW(jail.root().make_directories("l40", 0755));
  CHECK(jail.is_directory("nothing"));
}

TEST_CASE("a magic link is not followed", "[path]") {
  const Root proc(open_at(FdRef::cwd(), "/proc", O_PATH | O_DIRECTORY));
  CHECK(errno_of([&] { proc.open("self/root/etc", O_PATH); }) == ELOOP);
  CHECK(errno_of([&] { proc.open("self/fd/2", O_PATH); }) == ELOOP);
  CHECK(errno_of([&] { proc.find("self/cwd", O_PATH | O_DIRECTORY); }) == ELOOP);
  CHECK_FALSE(proc.find_without_links("self/status", O_PATH));
}

TEST_CASE("what is missing is nullopt, on the way as well", "[path]") {
  const Jail jail;
  jail.link("none", "dangling");
  CHECK_FALSE(jail.root().find("none", O_PATH));
  CHECK_FALSE(jail.root().find("none/below", O_PATH));
  CHECK_FALSE(jail.root().find("etc/passwd/below", O_PATH));
  CHECK_FALSE(jail.root().find("dangling", O_PATH));
  CHECK_THROWS_WITH(
      jail.root().open("none", O_PATH),
      Catch::StartsWith("open none in [") && Catch::EndsWith("/root>: no such file or directory"));
}

TEST_CASE("a path without links is found and one with a link is not, wherever it stands",
          "[path]") {
  const Jail jail;
  jail.link("etc", "link");
  jail.link("passwd", "etc/last");
  CHECK(jail.root().find_without_links("etc/passwd", O_PATH));
  CHECK_FALSE(jail.root().find_without_links("link/passwd", O_PATH));
  CHECK_FALSE(jail.root().find_without_links("etc/last", O_PATH));
  CHECK_FALSE(jail.root().find_without_links("none", O_PATH));
  CHECK_FALSE(jail.root().find_without_links("etc/passwd/below", O_PATH));
}

TEST_CASE("what is opened is closed on exec", "[path]") {
  const Jail jail;
  const Fd top = jail.top();
  const Fd fds[] = {jail.root().open("etc", O_PATH), jail.root().make_directories("new", 0755),
                    jail.root().make_file("file", 0644), open_beneath(top, "etc", O_PATH)};
  for (const Fd& fd : fds) CHECK((::fcntl(fd.number(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a new file has the mode that was asked for", "[path]") {
  const Jail jail;
  const Fd file = jail.root().open("etc/new", O_WRONLY | O_CREAT | O_EXCL, 0640);
  CHECK((status(file).st_mode & 07777) == 0640);
}

TEST_CASE("nothing may stand in the way of a path that is opened beneath", "[path]") {
  const Jail jail;
  const Root root = jail.root();
  jail.link("etc", "link");
  jail.link("/etc", "absolute");
  CHECK_NOTHROW(open_beneath(root.fd(), "etc/passwd", O_RDONLY));
  CHECK(errno_of([&] { open_beneath(root.fd(), "link", O_PATH); }) == ELOOP);
  CHECK(errno_of([&] { open_beneath(root.fd(), "link/passwd", O_RDONLY); }) == ELOOP);
  CHECK(errno_of([&] { open_beneath(root.fd(), "absolute", O_RDONLY); }) == ELOOP);
  CHECK(errno_of([&] { open_beneath(root.fd(), "/etc", O_RDONLY); }) == EXDEV);
  CHECK(errno_of([&] { open_beneath(root.fd(), "../outside", O_RDONLY); }) == EXDEV);
  CHECK(errno_of([&] { open_beneath(root.fd(), "none", O_RDONLY); }) == ENOENT);
  // /proc lies on another filesystem than /.
  const Fd top = open_at(FdRef::cwd(), "/", O_PATH);
  CHECK(errno_of([&] { open_beneath(top, "proc/version", O_RDONLY); }) == EXDEV);
}

TEST_CASE("directories are made where they are missing, and found where they are not", "[path]") {
  const Jail jail;
  const Fd made = jail.root().make_directories("/a/b/c", 0711);
  CHECK(jail.is_directory("a/b/c"));
  CHECK((status(made).st_mode & 07777) == 0711);
  CHECK(same(made, jail.root().make_directories("a//b/./x/../c/", 0755)));
  CHECK_FALSE(jail.has("a/b/x"));
  CHECK(same(jail.root().make_directories("/", 0755), jail.top()));
  CHECK(same(jail.root().make_directories("../..", 0755), jail.top()));
}

TEST_CASE("a file in the way of a directory is an error and stays", "[path]") {
  const Jail jail;
  CHECK(errno_of([&] { jail.root().make_directories("etc/passwd", 0755); }) == ENOTDIR);
  CHECK(errno_of([&] { jail.root().make_directories("etc/passwd/below", 0755); }) == ENOTDIR);
  CHECK(errno_of([&] { jail.root().make_file("etc/passwd/below", 0644); }) == ENOTDIR);
  CHECK(jail.scratch().read("root/etc/passwd") == "inside");
}

TEST_CASE("a dangling link is made good where it points within the root", "[path]") {
  const Jail jail;
  const auto [target, made] = GENERATE(table<std::string, std::string>({
      {"x/y", "x/y"},
      {"/x/y", "x/y"},
      {"./x//y/", "x/y"},
      {"../../x", "x"},
      {"../outside/new", "outside/new"},
      {"/tmp/../x", "x"},
  }));
  jail.link(target, "link");
  const Fd directory = jail.root().make_directories("link/below", 0755);
  CHECK(jail.is_directory(made + "/below"));
  CHECK(same(directory, jail.root().open("link/below", O_PATH)));
  CHECK(jail.outside_is_untouched());
}

TEST_CASE("the .. of a dangling link starts from where its directory really is", "[path]") {
  const Jail jail;
  jail.directory("real");
  jail.directory("real/deep");
  jail.link("real/deep", "alias");
  jail.link("../made", "real/deep/link");
  const Fd directory = jail.root().make_directories("alias/link", 0755);
  CHECK(jail.is_directory("real/made"));
  CHECK_FALSE(jail.has("made"));
  CHECK(same(directory, jail.root().open("alias/link", O_PATH)));
  jail.link("../file", "real/deep/link2");
  const Fd file = jail.root().make_file("alias/link2", 0644);
  CHECK(jail.has("real/file"));
  CHECK_FALSE(jail.has("file"));
}

TEST_CASE("a dangling link through a directory that is missing too is made good", "[path]") {
  const Jail jail;
  jail.link("missing/../target", "link");
  const Fd directory = jail.root().make_directories("link", 0755);
  CHECK(jail.is_directory("target"));
  CHECK(same(directory, jail.root().open("link", O_PATH)));
}

TEST_CASE("a dangling link in the middle of other dangling links is made good", "[path]") {
  const Jail jail;
  jail.link("/two/b", "one");
  jail.link("three", "two");
  jail.link("/four/c", "three");
  const Fd directory = jail.root().make_directories("one/d", 0755);
  CHECK(jail.is_directory("four/c/b/d"));
  CHECK(same(directory, jail.root().open("one/d", O_PATH)));
}

TEST_CASE("a file is made empty with its parents, and left alone where it is", "[path]") {
  const Jail jail;
  const Fd made = jail.root().make_file("/a/b/file", 0600);
  CHECK(S_ISREG(status(made).st_mode));
  CHECK(status(made).st_size == 0);
  CHECK((status(made).st_mode & 07777) == 0600);
  CHECK(same(made, jail.root().make_file("a/b/file", 0777)));
  jail.root().make_file("etc/passwd", 0777);
  CHECK(jail.scratch().read("root/etc/passwd") == "inside");
}

TEST_CASE("a file is never made outside through a link", "[path]") {
  const Jail jail;
  const auto [target, made] = GENERATE(table<std::string, std::string>({
      {"../outside/new", "outside/new"},
      {"/outside/new", "outside/new"},
      {"../../../../../../tmp/evil", "tmp/evil"},
      {"new", "new"},
      {"new/", "new"},
      {"etc/new", "etc/new"},
  }));
  jail.link(target, "link");
  const Fd file = jail.root().make_file("link", 0644);
  CHECK(S_ISREG(status(file).st_mode));
  CHECK(jail.has(made));
  CHECK(jail.outside_is_untouched());
}

TEST_CASE("a link to an existing file gives that file and to a directory that directory",
          "[path]") {
  const Jail jail;
  jail.link("/etc/passwd", "link");
  jail.link("etc", "etclink");
  CHECK(same(jail.root().make_file("link", 0644), jail.root().open("etc/passwd", O_PATH)));
  CHECK(same(jail.root().make_file("etclink", 0644), jail.root().open("etc", O_PATH)));
}

TEST_CASE("a file named by a link to .. is the directory that this is", "[path]") {
  const Jail jail;
  jail.link("missing/..", "link");
  CHECK(same(jail.root().make_file("link", 0644), jail.top()));
  CHECK(jail.outside_is_untouched());
}

TEST_CASE("a FIFO or a socket in the place of a file neither holds nor stops us", "[path]") {
  const Jail jail;
  const mode_t type = GENERATE(S_IFIFO, S_IFSOCK);
  REQUIRE(make_node(jail.scratch().fd(), "root/node", type | 0600, 0));
  const Fd node = jail.root().make_file("node", 0644);
  CHECK((status(node).st_mode & S_IFMT) == type);
  CHECK(errno_of([&] { jail.root().make_directories("node", 0755); }) == ENOTDIR);
  CHECK(errno_of([&] { jail.root().make_directories("node/below", 0755); }) == ENOTDIR);
}

TEST_CASE("the parent of a path is made, and the last component is not", "[path]") {
  const Jail jail;
  std::string name;
  const Fd parent = jail.root().parent_of("/a/b/../c/last", name);
  CHECK(name == "last");
  CHECK(same(parent, jail.root().open("a/c", O_PATH)));
  CHECK_FALSE(jail.has("a/c/last"));
  CHECK(same(jail.root().parent_of("top", name), jail.top()));
  CHECK(name == "top");
  CHECK(same(jail.root().parent_of("../..", name), jail.top()));
  CHECK(name.empty());
}

TEST_CASE("the parent of a link is where the link is, not where it points", "[path]") {
  const Jail jail;
  jail.link("../outside/secret", "etc/link");
  std::string name;
  const Fd parent = jail.root().parent_of("etc/link", name);
  CHECK(same(parent, jail.root().open("etc", O_PATH)));
  CHECK(name == "link");
}

TEST_CASE("a name as long as Linux allows is made and a longer one is an error", "[path]") {
  const Jail jail;
  CHECK_NOTHROW(jail.root().make_file(std::string(255, 'n'), 0644));
  CHECK(errno_of([&] { jail.root().make_file(std::string(256, 'n'), 0644); }) == ENAMETOOLONG);
  CHECK(errno_of([&] { jail.root().make_directories(std::string(5000, 'n'), 0755); }) ==
        ENAMETOOLONG);
}

}  // namespace
}  // namespace tare::sys
