#include "sys/path.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

using test::Scratch;

// Enough to meet a race of two renames many times, and little enough for a second.
constexpr int kRounds = 1500;
// On a machine with other work the one that races may not run for long; it is waited for.
constexpr int kMostRounds = 1000 * kRounds;

bool go_on(int round, bool has_raced) {
  return round < kRounds || (!has_raced && round < kMostRounds);
}

// A root, and something secret outside; a process that does `move` over and over beside us.
class Race {
 public:
  Race() {
    for (const char* name : {"root", "root/d", "root/a", "root/a/b", "outside"}) {
      REQUIRE(make_directory(scratch_.fd(), name, 0755));
    }
    scratch_.write("root/d/secret", "inside");
    scratch_.write("outside/secret", "outside");
    REQUIRE(make_symlink("../outside", scratch_.fd(), "root/relative"));
    REQUIRE(make_symlink(scratch_.path("outside"), scratch_.fd(), "root/absolute"));
  }
  ~Race() {
    if (!renamer_.pidfd) return;
    send_signal(renamer_.pidfd, SIGKILL);
    wait_for(renamer_.pidfd);
  }
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;

  void run(const std::function<void(FdRef)>& move) {
    renamer_ = spawn({}, [&] {
      signal_at_parent_death(SIGKILL);
      for (;;) move(scratch_.fd());
      return 0;
    });
  }
  Root root() const { return Root(open_at(scratch_.fd(), "root", O_PATH | O_DIRECTORY)); }
  FdRef top() const { return scratch_.fd(); }
  bool outside_is_untouched() const {
    const Fd outside = open_at(scratch_.fd(), "outside", O_PATH);
    std::vector<std::string> names = list_directory(outside);
    // The directory that moves may be there at this moment, empty.
    std::erase(names, "b");
    return names == std::vector<std::string>{"secret"} &&
           scratch_.read("outside/secret") == "outside";
  }

 private:
  Scratch scratch_;
  Child renamer_{};
};

// How a walk ended: what was read, or "" for every error that a race may cause.
std::string read_racing(const Root& root, const std::string& path) {
  try {
    const std::optional<Fd> file = root.find(path, O_RDONLY);
    return file ? read_all(*file) : "";
  } catch (const Error& error) {
    // Too many renames in between, and a link that was a directory a moment ago.
    CHECK((error.errno_value() == EAGAIN || error.errno_value() == ELOOP));
    return "";
  }
}

TEST_CASE("a directory that turns into a link outwards never leads outside", "[path]") {
  const std::string link = GENERATE("root/relative", "root/absolute");
  Race race;
  race.run([&](FdRef top) { rename_file(top, "root/d", link, RENAME_EXCHANGE); });
  const Root root = race.root();
  int inside = 0;
  int other = 0;
  for (int round = 0; go_on(round, inside > 0 && other > 0); ++round) {
    const std::string text = read_racing(root, "d/secret");
    CHECK(text != "outside");
    ++(text == "inside" ? inside : other);
  }
  // Or nothing has raced.
  CHECK(inside > 0);
  CHECK(other > 0);
}

TEST_CASE("a directory that is moved out while .. is walked never leads outside", "[path]") {
  Race race;
  race.run([](FdRef top) {
    rename_file(top, "root/a/b", "outside/b");
    rename_file(top, "outside/b", "root/a/b");
  });
  const Root root = race.root();
  for (int round = 0; round < kRounds; ++round) {
    CHECK(read_racing(root, "a/b/../../outside/secret").empty());
    CHECK(read_racing(root, "a/b/../secret").empty());
  }
}

TEST_CASE("nothing is made outside although links and directories change places", "[path]") {
  const std::string link = GENERATE("root/relative", "root/absolute");
  Race race;
  race.run([&](FdRef top) { rename_file(top, "root/d", link, RENAME_EXCHANGE); });
  const Root root = race.root();
  int made = 0;
  for (int round = 0; round < kRounds / 3; ++round) {
    const std::string name = "d/new-" + std::to_string(round);
    try {
      root.make_directories(name + "/x/y", 0755);
      root.make_file(name + ".file", 0644);
      ++made;
    } catch (const Error& error) {
      // What a component was is no more: the command fails, and that is all.
      CHECK(error.errno_value() != 0);
    }
  }
  CHECK(made > 0);
  CHECK(race.outside_is_untouched());
}

TEST_CASE("a file that turns into a link outwards never gives the file outside", "[path]") {
  Race race;
  REQUIRE(make_symlink("../outside/secret", race.top(), "root/link"));
  REQUIRE(make_node(race.top(), "root/file", S_IFREG | 0600, 0));
  race.run([](FdRef top) { rename_file(top, "root/file", "root/link", RENAME_EXCHANGE); });
  const Root root = race.root();
  const ino_t outside = find_status(race.top(), "outside/secret")->st_ino;
  int links = 0;
  for (int round = 0; go_on(round, links > 0); ++round) {
    try {
      const Fd file = root.make_file("file", 0644);
      CHECK(status(file).st_ino != outside);
      // The link is made good within the root; what it was made to is taken away again.
      links += remove_file(race.top(), "root/outside/secret") ? 1 : 0;
    } catch (const Error& error) {
      CHECK((error.errno_value() == EINVAL || error.errno_value() == EAGAIN ||
             error.errno_value() == ELOOP));
    }
  }
  CHECK(links > 0);
  CHECK(race.outside_is_untouched());
}

TEST_CASE("a mount on the way stops a path that is opened beneath, and no other", "[path]") {
  if (test::skip_unless_root()) return;
  CHECK(test::on_machine([] {
          test::write("/mnt/proc/file", "under");
          test::mount("/mnt/proc", "/mnt/proc", nullptr, MS_BIND);
          test::mount("tmpfs", "/mnt/proc", "tmpfs", 0);
          test::write("/mnt/proc/file", "over");
          const Fd top = open_at(FdRef::cwd(), "/mnt", O_PATH);
          const Root root(duplicate(top));
          const Fd file = root.open("proc/file", O_RDONLY);
          std::string answer = read_all(file);
          try {
            open_beneath(top, "proc/file", O_RDONLY);
          } catch (const Error& error) {
            answer += error.errno_value() == EXDEV ? " refused" : error.message();
          }
          return answer;
        }) == "over refused");
}

TEST_CASE("a file that is bound over is one that is opened beneath only where it is bound",
          "[path]") {
  if (test::skip_unless_root()) return;
  CHECK(test::on_machine([] {
          test::write("/mnt/truth", "truth");
          test::write("/mnt/lie", "lie");
          test::mount("/mnt/lie", "/mnt/truth", nullptr, MS_BIND);
          const Fd top = open_at(FdRef::cwd(), "/mnt", O_PATH);
          try {
            const Fd file = open_beneath(top, "truth", O_RDONLY);
            return read_all(file);
          } catch (const Error& error) {
            return std::string(error.errno_value() == EXDEV ? "refused" : error.message());
          }
        }) == "refused");
}

}  // namespace
}  // namespace tare::sys
