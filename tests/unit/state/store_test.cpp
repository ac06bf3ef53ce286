#include "state/store.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using state::ContainerDirectory;
using state::Lock;
using state::Store;
using test::Scratch;

namespace {

using Ids = std::vector<std::string>;

Store store_in(const Scratch& scratch, bool given = true) {
  return Store({.root = scratch.path("root"), .root_given = given});
}

Record record(const std::string& id) {
  return {.id = id, .bundle = "/b", .init = {.pid = 42, .start_time = 1}};
}

template <typename Body>
std::string refusal(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.message();
  }
  return "accepted";
}

mode_t mode_of(const std::string& path) {
  return sys::find_status(sys::FdRef::cwd(), path)->st_mode & 07777U;
}

int status_of(const sys::Child& child) {
  return sys::wait_for(child.pidfd).shell_code();
}

}  // namespace

TEST_CASE("store: ids are runc's, and nothing that could be a path", "[store]") {
  for (const std::string& good : {std::string("a"), std::string("web_1+2-3.4"), std::string("..."),
                                  std::string("-x"), std::string(255, 'x')}) {
    CHECK_NOTHROW(state::check_id(good));
  }
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("/"),
        std::string("a b"), std::string("a\n"), std::string("%s@"), std::string("\u00e5"),
        std::string("a\0b", 3), std::string(256, 'x')}) {
    CHECK(refusal([&] { state::check_id(bad); }) == "invalid container ID format");
  }
}

TEST_CASE("store: every way to name a container checks the id", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  scratch.write("outside", "");
  CHECK(refusal([&] { store.claim("../outside"); }) == "invalid container ID format");
  CHECK(refusal([&] { store.find("..", Lock::none); }) == "invalid container ID format");
  CHECK(refusal([&] { store.open("", Lock::none); }) == "invalid container ID format");
}

TEST_CASE("store: a claim makes the root and its parents, private to their owner", "[store]") {
  const Scratch scratch;
  const Store store({.root = scratch.path("a/b"), .root_given = true});
  const ContainerDirectory directory = store.claim("web");
  CHECK(directory.path() == scratch.path("a/b/web"));
  CHECK(mode_of(scratch.path("a/b")) == 01700);
  CHECK(mode_of(scratch.path("a/b/web")) == 0700);
}

TEST_CASE("store: an id can be claimed once until it is removed", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  const ContainerDirectory first = store.claim("web");
  CHECK(refusal([&] { store.claim("web"); }) == "container with given ID already exists");
  first.remove();
  CHECK_NOTHROW(store.claim("web"));
}

TEST_CASE("store: what does not exist is said in the words that callers look for", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  CHECK(refusal([&] { store.open("web", Lock::none); }) == "container does not exist");
  CHECK_FALSE(store.find("web", Lock::exclusive).has_value());
  CHECK_FALSE(scratch.has("root"));
  store.claim("other");
  CHECK(refusal([&] { store.open("web", Lock::shared); }) == "container does not exist");
}

TEST_CASE("store: an intent and a record are read back, and absent before", "[store]") {
  const Scratch scratch;
  const ContainerDirectory directory = store_in(scratch).claim("web");
  CHECK_FALSE(directory.find_intent().has_value());
  CHECK_FALSE(directory.find_record().has_value());
  const Intent intent{.id = "web", .bundle = "/b"};
  directory.write_intent(intent);
  directory.write_record(record("web"));
  CHECK(directory.find_intent() == intent);
  CHECK(directory.find_record() == record("web"));
  CHECK(mode_of(directory.path() + "/state") == 0600);
}

TEST_CASE("store: an intent is written once, a record as often as it changes", "[store]") {
  const Scratch scratch;
  const ContainerDirectory directory = store_in(scratch).claim("web");
  directory.write_intent({.id = "web"});
  CHECK_THROWS_AS(directory.write_intent({.id = "web"}), Error);
  Record changed = record("web");
  changed.bundle = std::string(5000, 'x');
  directory.write_record(changed);
  directory.prepare_record(record("web"));
  CHECK(directory.find_record() == changed);
  directory.publish_record();
  CHECK(directory.find_record() == record("web"));
}

TEST_CASE("store: what a killed writer left does not get into the next record", "[store]") {
  const Scratch scratch;
  const ContainerDirectory directory = store_in(scratch).claim("web");
  scratch.write("root/web/state.new", std::string(100'000, '{'));
  directory.write_record(record("web"));
  CHECK(directory.find_record() == record("web"));
  CHECK_FALSE(scratch.has("root/web/state.new"));
}

TEST_CASE("store: a record or intent of another container is damaged", "[store]") {
  const Scratch scratch;
  const ContainerDirectory directory = store_in(scratch).claim("web");
  directory.write_record(record("other"));
  directory.write_intent({.id = "other"});
  CHECK(refusal([&] { directory.find_record(); }).find("damaged state") == 0);
  CHECK(refusal([&] { directory.find_intent(); }).find("damaged intent") == 0);
}

TEST_CASE("store: a record that is a FIFO, a link, a directory or too long is an error",
          "[store]") {
  const Scratch scratch;
  const ContainerDirectory directory = store_in(scratch).claim("web");
  const std::string path = directory.path() + "/state";
  SECTION("a FIFO does not hold us up") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  }
  SECTION("a link is not followed") {
    scratch.write("elsewhere", "{}");
    REQUIRE(::symlink(scratch.path("elsewhere").c_str(), path.c_str()) == 0);
  }
  SECTION("a directory is no file") {
    REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  }
  SECTION("a giant is not read into memory") {
    scratch.write("root/web/state", "");
    REQUIRE(::truncate(path.c_str(), off_t{1} << 40U) == 0);
  }
  CHECK(refusal([&] { directory.find_record(); }) != "accepted");
}

TEST_CASE("store: the filter of a container is kept byte for byte", "[store]") {
  const Scratch scratch;
  const ContainerDirectory directory = store_in(scratch).claim("web");
  CHECK_THROWS_AS(directory.read_seccomp(), Error);
  const std::string filter("\0\xff\n{}", 5);
  directory.write_seccomp(filter);
  CHECK(directory.read_seccomp() == filter);
}

TEST_CASE("store: removing takes every file of ours and can be done twice", "[store]") {
  const Scratch scratch;
  const ContainerDirectory directory = store_in(scratch).claim("web");
  directory.write_intent({.id = "web"});
  directory.write_record(record("web"));
  directory.write_seccomp("x");
  scratch.write("root/web/gate", "");
  scratch.write("root/web/state.new", "");
  directory.remove();
  CHECK_FALSE(scratch.has("root/web"));
  CHECK_NOTHROW(directory.remove());
}

TEST_CASE("store: removing twice does not touch a container that has the name now", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  const ContainerDirectory old = store.claim("web");
  old.remove();
  const ContainerDirectory fresh = store.claim("web");
  old.remove();
  CHECK(scratch.has("root/web"));
}

TEST_CASE("store: what is not ours in a container's directory is not removed", "[store]") {
  const Scratch scratch;
  const ContainerDirectory directory = store_in(scratch).claim("web");
  directory.write_record(record("web"));
  scratch.write("root/web/precious", "x");
  CHECK(refusal([&] { directory.remove(); }).find("directory not empty") != std::string::npos);
  CHECK(scratch.has("root/web/precious"));
}

TEST_CASE("store: the ids are the directories that can be containers, sorted", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  for (const char* id : {"b", "a", "c"}) store.claim(id);
  store.seccomp_cache();
  scratch.write("root/file", "");
  sys::make_symlink("a", scratch.fd(), "root/link");
  const std::optional<sys::Fd> root = store.root_to_list();
  REQUIRE(root);
  CHECK(Store::ids(*root) == Ids{"a", "b", "c"});
  CHECK(store.open_in(*root, "b").path() == scratch.path("root/b"));
  CHECK(refusal([&] { store.open_in(*root, "d"); }) == "container does not exist");
}

TEST_CASE("store: a missing root is no container, unless it was asked for by name", "[store]") {
  const Scratch scratch;
  CHECK_FALSE(store_in(scratch, false).root_to_list());
  CHECK(refusal([&] {
          store_in(scratch, true).root_to_list();
        }).find("no such file or directory") != std::string::npos);
}

TEST_CASE("store: a root that is a link or can be written to by others is refused", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  SECTION("a link") {
    REQUIRE(::mkdir(scratch.path("target").c_str(), 0700) == 0);
    sys::make_symlink("target", scratch.fd(), "root");
    CHECK(refusal([&] { store.claim("web"); }) != "accepted");
    CHECK_FALSE(scratch.has("target/web"));
  }
  SECTION("world-writable") {
    REQUIRE(::mkdir(scratch.path("root").c_str(), 0700) == 0);
    REQUIRE(::chmod(scratch.path("root").c_str(), 0777) == 0);
    CHECK(refusal([&] { store.claim("web"); }).find("can be written to by others") !=
          std::string::npos);
    CHECK(refusal([&] { store.find("web", Lock::none); }) != "accepted");
  }
  SECTION("sticky, as /tmp is, is not") {
    REQUIRE(::mkdir(scratch.path("root").c_str(), 0700) == 0);
    REQUIRE(::chmod(scratch.path("root").c_str(), 01777) == 0);
    CHECK_NOTHROW(store.claim("web"));
  }
  SECTION("a file") {
    scratch.write("root", "");
    CHECK(refusal([&] { store.claim("web"); }) != "accepted");
  }
}

TEST_CASE("store: what belongs to somebody else is not believed", "[store]") {
  if (test::skip_unless_root()) return;
  const Scratch scratch;
  const Store store = store_in(scratch);
  store.claim("web").write_record(record("web"));
  SECTION("a container") {
    REQUIRE(::chown(scratch.path("root/web").c_str(), 1000, 1000) == 0);
    CHECK(refusal([&] { store.open("web", Lock::none); }).find("belongs to uid 1000") !=
          std::string::npos);
  }
  SECTION("the root") {
    REQUIRE(::chown(scratch.path("root").c_str(), 1000, 1000) == 0);
    CHECK(refusal([&] { store.open("web", Lock::none); }).find("belongs to uid 1000") !=
          std::string::npos);
  }
}

TEST_CASE("store: of many claimers exactly one has the id", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  constexpr int kClaimers = 16;
  for (int round = 0; round < 20; ++round) {
    const std::string id = "web" + std::to_string(round);
    sys::Pipe start = sys::make_pipe();
    std::vector<sys::Child> claimers;
    for (int i = 0; i < kClaimers; ++i) {
      claimers.push_back(sys::spawn({}, [&] {
        start.write_end.reset();
        sys::read_all(start.read_end);  // ends for all at once
        return refusal([&] { store.claim(id).write_intent({.id = id}); }) == "accepted" ? 1 : 0;
      }));
    }
    start.write_end.reset();
    int winners = 0;
    for (const sys::Child& claimer : claimers) winners += status_of(claimer);
    CHECK(winners == 1);
  }
}

TEST_CASE("store: a claim wins over a removal that takes its directory for a dead one's",
          "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  const sys::Child remover = sys::spawn({}, [&] {
    for (int i = 0; i < 100; ++i) {
      if (const auto directory = store.find("web", Lock::exclusive)) directory->remove();
    }
    return 0;
  });
  int lost = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string outcome = refusal([&] {
      const ContainerDirectory directory = store.claim("web");
      directory.write_intent({.id = "web"});
      directory.write_record(record("web"));
      directory.remove();
    });
    if (outcome != "accepted") ++lost;
  }
  CHECK(lost == 0);
  CHECK(status_of(remover) == 0);
}

TEST_CASE("store: a change waits for another change, and reading waits for none", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  std::optional<ContainerDirectory> held = store.claim("web");
  CHECK_NOTHROW(store.open("web", Lock::none));
  const sys::Child waiter = sys::spawn({}, [&] {
    store.open("web", Lock::exclusive);
    return 5;
  });
  CHECK_FALSE(sys::await_end(waiter.pidfd, 50));
  held->unlock();
  CHECK(status_of(waiter) == 5);
}

TEST_CASE("store: a child that inherited a locked directory does not keep the lock", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  const sys::Pipe pipe = sys::make_pipe();
  std::optional<ContainerDirectory> held = store.claim("web");
  // As init does, which waits at the gate with whatever it was born with.
  const sys::Child init = sys::spawn({}, [&] {
    char byte = 0;
    return static_cast<int>(::read(pipe.read_end.number(), &byte, 1));
  });
  held.reset();
  CHECK_NOTHROW(store.open("web", Lock::exclusive));
  sys::write_all(pipe.write_end, "x");
  CHECK(status_of(init) == 1);
}

TEST_CASE("store: a name that was given to a new container while we waited is that one",
          "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  std::optional<ContainerDirectory> held = store.claim("web");
  held->write_record(record("web"));
  const sys::Child waiter = sys::spawn({}, [&] {
    const ContainerDirectory opened = store.open("web", Lock::exclusive);
    return opened.find_record()->bundle == "/new" ? 0 : 1;
  });
  CHECK_FALSE(sys::await_end(waiter.pidfd, 50));
  held->remove();
  ContainerDirectory fresh = store.claim("web");
  held.reset();
  Record next = record("web");
  next.bundle = "/new";
  fresh.write_record(next);
  fresh.unlock();
  CHECK(status_of(waiter) == 0);
}

TEST_CASE("store: a directory that is locked again is its container, or gone", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  ContainerDirectory kept = store.claim("web");
  kept.unlock();
  store.open("web", Lock::exclusive).write_record(record("web"));
  CHECK(kept.lock_again());
  CHECK(kept.find_record());
  kept.unlock();

  store.open("web", Lock::exclusive).remove();
  CHECK_FALSE(kept.lock_again());
  kept.unlock();
  const ContainerDirectory another = store.claim("web");
  CHECK_FALSE(kept.lock_again());
}

TEST_CASE("store: the cache of filters is private and outside of every id", "[store]") {
  const Scratch scratch;
  const Store store = store_in(scratch);
  const sys::Fd cache = store.seccomp_cache();
  CHECK((sys::status(cache).st_mode & 07777U) == 0700);
  CHECK_NOTHROW(store.seccomp_cache());
  CHECK(refusal([&] { store.claim("@seccomp"); }) == "invalid container ID format");
}
