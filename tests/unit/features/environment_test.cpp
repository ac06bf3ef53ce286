#include "features/environment.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "sys/file.hpp"

namespace tare::environment {
namespace {

// A directory that is gone at the end of the test, as the root of a container.
class Scratch {
 public:
  Scratch() {
    std::string name = "/tmp/tare-environment-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { remove(path_); }

  std::string at(const std::string& inside) const { return path_ + inside; }
  sys::Root root() const {
    return sys::Root(sys::open_at(sys::FdRef::cwd(), path_, O_PATH | O_DIRECTORY));
  }
  void directory(const std::string& inside) const { REQUIRE(mkdir(at(inside).c_str(), 0755) == 0); }
  void file(const std::string& inside, const std::string& text, mode_t mode = 0644) const {
    const sys::Fd fd = sys::open_at(sys::FdRef::cwd(), at(inside), O_CREAT | O_WRONLY, 0600);
    sys::write_all(fd, text);
    sys::change_mode(fd, mode);
  }

 private:
  static void remove(const std::string& path) {
    const sys::Fd directory = sys::open_at(sys::FdRef::cwd(), path, O_RDONLY | O_DIRECTORY);
    for (const std::string& name : sys::list_directory(directory)) {
      if (unlinkat(directory.number(), name.c_str(), 0) < 0) remove(path + "/" + name);
    }
    rmdir(path.c_str());
  }

  std::string path_{};
};

Spec read_text(const std::string& text) {
  const spec::Document document("config.json", text);
  return read(document.top());
}

Spec with_variables(std::vector<std::string> variables) {
  return {.arguments = {"sh"}, .variables = std::move(variables), .directory = "/"};
}

std::string find(const std::string& program, const std::string& path) {
  return find_executable({.arguments = {program}, .variables = {"PATH=" + path}});
}

TEST_CASE("a process is planned as it is written", "[environment]") {
  const Spec spec = read_text(
      R"({"args": ["sh", "-c", ""], "env": ["PATH=/bin", "HOME=/root", "EMPTY="], "cwd": "/srv"})");
  CHECK(plan(spec) == Plan{.arguments = {"sh", "-c", ""},
                           .variables = {"PATH=/bin", "HOME=/root", "EMPTY="},
                           .directory = "/srv"});
}

TEST_CASE("a process that cannot be is refused with its field", "[environment]") {
  const auto [text, words] = GENERATE(table<std::string, std::string>({
      {R"({"cwd": "/"})", "config.json: args must not be empty"},
      {R"({"args": [], "cwd": "/"})", "config.json: args must not be empty"},
      {R"({"args": ["sh"]})", "config.json: Cwd property must not be empty"},
      {R"({"args": ["sh"], "cwd": ""})", "config.json: Cwd property must not be empty"},
      {R"({"args": ["sh"], "cwd": "srv"})", "config.json: Cwd must be an absolute path"},
      {R"({"args": ["sh"], "cwd": "/", "env": ["A=1", "PATH"]})",
       "config.json /env/1: invalid environment variable: missing '='"},
      {R"({"args": ["sh"], "cwd": "/", "env": ["=x"]})",
       "config.json /env/0: invalid environment variable: name cannot be empty"},
      {R"({"args": ["sh"], "cwd": "/", "env": [""]})",
       "config.json /env/0: invalid environment variable: missing '='"},
      {R"({"args": ["s\u0000h"], "cwd": "/"})",
       "config.json /args/0: a string must not hold a NUL character"},
  }));
  CHECK_THROWS_WITH(read_text(text), words);
}

TEST_CASE("what exec adds to a process is checked as well", "[environment]") {
  CHECK_THROWS_WITH(plan(with_variables({"PATH"})), "invalid environment variable: missing '='");
  CHECK_THROWS_WITH(plan({.arguments = {"sh"}, .directory = "srv"}),
                    "Cwd must be an absolute path");
}

TEST_CASE("the last of each variable wins, where it stands", "[environment]") {
  CHECK(plan(with_variables({"A=1", "HOME=/h", "B=2", "A=3=4", "AB=5"})).variables ==
        std::vector<std::string>{"HOME=/h", "B=2", "A=3=4", "AB=5"});
}

TEST_CASE("HOME is looked up when it is unset or empty", "[environment]") {
  CHECK(plan(with_variables({"A=1"})) ==
        Plan{.arguments = {"sh"}, .variables = {"A=1"}, .directory = "/", .needs_home = true});
  CHECK(plan(with_variables({"HOME=/root", "HOME="})).needs_home);
  CHECK(plan(with_variables({"HOME=/root", "HOME="})).variables.empty());
  CHECK_FALSE(plan(with_variables({"HOME=", "HOME=/root"})).needs_home);
}

TEST_CASE("HOME comes from the container's passwd", "[environment]") {
  const Scratch scratch;
  scratch.directory("/etc");
  scratch.file("/etc/passwd", std::string("# comment\n") +
                                  "\n"
                                  "broken\n"
                                  "short:x:7\n"
                                  "letters:x:x7:7::/letters:/bin/sh\n"
                                  "root:x:0:0:root:/root:/bin/sh\n"
                                  "empty:x:5:5:::/bin/sh\n"
                                  "nul:x:6:6::/a" +
                                  std::string(1, '\0') +
                                  "b:/bin/sh\n"
                                  "first:x:1000:1000::/home/first:/bin/sh\n"
                                  "second:x:1000:1000::/home/second:/bin/sh\n"
                                  "last:x:4294967294:1::/last");
  const auto [uid, home] = GENERATE(table<unsigned, std::string>({
      {0, "/root"},
      {1000, "/home/first"},
      {4294967294U, "/last"},
      {5, "/"},
      {6, "/"},
      {7, "/"},
      {8, "/"},
  }));
  CHECK(home_of(scratch.root(), uid) == home);
}

TEST_CASE("a uid in passwd that is no number is nobody's, least of all root's", "[environment]") {
  const Scratch scratch;
  scratch.directory("/etc");
  scratch.file("/etc/passwd", "odd:x::0::/odd:\nminus:x:-0:0::/minus:\nspace:x: 0:0::/space:\n");
  CHECK(home_of(scratch.root(), 0) == "/");
}

TEST_CASE("whatever lies at /etc/passwd, HOME is / in no time", "[environment]") {
  const Scratch scratch;
  const std::string passwd = scratch.at("/etc/passwd");
  SECTION("nothing") {}
  SECTION("no directory above it either, but a file") {
    scratch.file("/etc", "");
  }
  SECTION("a directory") {
    scratch.directory("/etc");
    scratch.directory("/etc/passwd");
  }
  SECTION("a FIFO that nobody writes") {
    scratch.directory("/etc");
    REQUIRE(mkfifo(passwd.c_str(), 0644) == 0);
  }
  SECTION("a link to the host's") {
    scratch.directory("/etc");
    REQUIRE(symlink("/../../../etc/passwd", passwd.c_str()) == 0);
  }
  SECTION("a link to itself") {
    scratch.directory("/etc");
    REQUIRE(symlink("passwd", passwd.c_str()) == 0);
  }
  SECTION("bytes of any kind") {
    scratch.directory("/etc");
    scratch.file("/etc/passwd", std::string(100000, ':') + std::string(1000, '\0') + "\xff\n");
  }
  CHECK(home_of(scratch.root(), 0) == "/");
}

TEST_CASE("of a passwd without end only the start is read", "[environment]") {
  const Scratch scratch;
  scratch.directory("/etc");
  scratch.file("/etc/passwd",
               "near:x:1:1::/near:\n" + std::string(1U << 20U, '\n') + "far:x:2:2::/far:\n");
  REQUIRE(truncate(scratch.at("/etc/passwd").c_str(), off_t{1} << 40) == 0);
  CHECK(home_of(scratch.root(), 1) == "/near");
  CHECK(home_of(scratch.root(), 2) == "/");
}

TEST_CASE("the working directory is made, and inside the root whatever links say",
          "[environment]") {
  const Scratch scratch;
  make_directory_in_init({.directory = "/a/b/../c"}, scratch.root());
  CHECK(sys::find_status(sys::FdRef::cwd(), scratch.at("/a/c")));
  REQUIRE(symlink("/../../tmp/tare-outside", scratch.at("/out").c_str()) == 0);
  make_directory_in_init({.directory = "/out/x"}, scratch.root());
  CHECK(sys::find_status(sys::FdRef::cwd(), scratch.at("/tmp/tare-outside/x")));
  CHECK_FALSE(sys::find_status(sys::FdRef::cwd(), "/tmp/tare-outside"));
}

TEST_CASE("a working directory that cannot be made names its field", "[environment]") {
  const Scratch scratch;
  scratch.file("/file", "");
  try {
    make_directory_in_init({.directory = "/file/x"}, scratch.root());
    FAIL("it was made");
  } catch (const Error& error) {
    CHECK(error.field() == "/process/cwd");
    CHECK_THAT(error.message(), Catch::StartsWith("working directory \"/file/x\": "));
  }
}

TEST_CASE("a working directory that cannot be entered is told in runc's words", "[environment]") {
  CHECK_THROWS_WITH(enter_directory({.directory = "/no/such"}),
                    Catch::StartsWith("chdir to cwd (\"/no/such\") set in config.json failed: ") &&
                        Catch::EndsWith("no such file or directory"));
}

TEST_CASE("a program without a slash is found by the container's PATH", "[environment]") {
  const Scratch scratch;
  for (const char* directory : {"/first", "/second", "/third"}) scratch.directory(directory);
  scratch.directory("/first/tool");
  scratch.file("/second/tool", "", 0644);
  scratch.file("/third/tool", "", 0755);
  const std::string path = scratch.at("/none") + ":" + scratch.at("/first") + ":" +
                           scratch.at("/second/") + ":" + scratch.at("/third");
  CHECK(find("tool", path) == scratch.at("/third/tool"));
}

TEST_CASE("a program that is nowhere is told in Go's words", "[environment]") {
  const auto [name, path] = GENERATE(table<std::string, std::string>({
      {"no-such-tool", "/usr/bin:/bin"},
      {"sh", ""},
      {"sh", "/etc/passwd:/no"},
      {"", "/usr/bin"},
  }));
  CHECK_THROWS_WITH(find(name, path), "exec: \"" + name + "\": executable file not found in $PATH");
}

TEST_CASE("without PATH nothing is found, least of all by tare's own", "[environment]") {
  CHECK_THROWS_WITH(find_executable({.arguments = {"sh"}, .variables = {"XPATH=/bin"}}),
                    "exec: \"sh\": executable file not found in $PATH");
}

TEST_CASE("the working directory is no place to find programs by name", "[environment]") {
  const Scratch scratch;
  scratch.file("/tool", "", 0755);
  const sys::Fd before = sys::open_at(sys::FdRef::cwd(), ".", O_PATH | O_DIRECTORY);
  REQUIRE(chdir(scratch.at("/").c_str()) == 0);
  const std::string path = GENERATE("/none:", ".", ":/none", "/none::/none2");
  CHECK_THROWS_WITH(find("tool", path),
                    "exec: \"tool\": cannot run executable found relative to current directory");
  CHECK(find("./tool", path) == "./tool");
  sys::change_directory(before);
}

TEST_CASE("a program by path fails as Go's LookPath does", "[environment]") {
  const auto [name, words] = GENERATE(table<std::string, std::string>({
      {"/no/such", "exec: \"/no/such\": stat /no/such: no such file or directory"},
      {"/etc/passwd/x", "exec: \"/etc/passwd/x\": stat /etc/passwd/x: not a directory"},
      {"/etc/passwd", "exec: \"/etc/passwd\": permission denied"},
      {"/usr", "exec: \"/usr\": is a directory: permission denied"},
      {"./no", "exec: \"./no\": stat ./no: no such file or directory"},
  }));
  CHECK_THROWS_WITH(find(name, "/bin"), words);
}

TEST_CASE("a program by path is taken as it is written", "[environment]") {
  CHECK(find("/bin/../bin/sh", "") == "/bin/../bin/sh");
}

TEST_CASE("command, directory and HOME are explained", "[environment]") {
  Explain effects;
  explain(
      {.arguments = {"sh", "-c"}, .variables = {"A=1"}, .directory = "/srv", .needs_home = true},
      effects);
  REQUIRE(effects.effects().size() == 3);
  CHECK(effects.effects()[0].field == "/process/cwd");
  CHECK(effects.effects()[1].text == "take HOME from the container's /etc/passwd");
  CHECK(effects.effects()[2].text == "execute \"sh\" \"-c\", with 2 variables");
  CHECK(effects.effects()[2].field == "/process/args");
}

}  // namespace
}  // namespace tare::environment
