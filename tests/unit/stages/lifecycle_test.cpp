#include "stages/lifecycle.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "stages/handover.hpp"
#include "state/start_gate.hpp"
#include "sys/clock.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

using test::Scratch;

constexpr char kId[] = "web";

// A container as far as its record goes: its init is a child of this test, and it has no cgroup.
class Container {
 public:
  explicit Container(const std::string& parent = Scratch::usual_parent())
      : scratch_(parent), init_(sys::spawn({}, [] { return ::pause(); })) {
    record_ = {.id = kId,
               .oci_version = "1.2.0",
               .bundle = "/b",
               .boot_id = sys::boot_id(),
               .init = identity_of(init_)};
    intent_ = {.id = kId, .bundle = "/b", .boot_id = sys::boot_id(), .process = "{}"};
  }
  ~Container() {
    end();
    sys::reap_ended(init_.pid);
  }
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  // Writes what there is of it; the lock is given up again.
  void keep() const {
    const state::ContainerDirectory directory = state::Store(global()).claim(kId);
    directory.write_intent(intent_);
    directory.write_record(record_);
  }
  void end() const {
    sys::send_signal(init_.pidfd, SIGKILL);
    sys::await_end(init_.pidfd, -1);
  }
  bool lives() const { return !sys::has_ended(init_.pidfd); }
  bool is_kept() const { return sys::find_status(scratch_.fd(), "root/web").has_value(); }
  GlobalOptions global() const { return {.root = scratch_.path("root"), .root_given = true}; }
  Status status() const { return query(global(), kId).status; }

  Scratch scratch_;
  sys::Child init_;
  Record record_{};
  Intent intent_{};
};

TEST_CASE("a container whose init lives is running, and one whose init has ended is stopped",
          "[lifecycle]") {
  const Container container;
  container.keep();
  CHECK(container.status() == Status::running);
  CHECK(query(container.global(), kId).record == container.record_);
  container.end();
  CHECK(container.status() == Status::stopped);
}

TEST_CASE("a container whose gate is held open is created", "[lifecycle]") {
  const Container container;
  container.keep();
  const sys::Fd directory = sys::open_at(container.scratch_.fd(), "root/web", O_RDONLY);
  {
    const start_gate::Gate gate = start_gate::make(directory);
    CHECK(container.status() == Status::created);
  }
  CHECK(container.status() == Status::running);
}

TEST_CASE("a later process with the pid of init is not the container's", "[lifecycle]") {
  Container container;
  // The pid is of a living process, the identity of another: so looks a pid that was given again.
  const Container other;
  container.record_.init.pid = other.init_.pid;
  container.keep();
  CHECK(container.status() == Status::stopped);
  CHECK_THROWS_WITH(kill(container.global(), kId, SIGKILL, false), "container not running");
  remove(container.global(), kId, true);
  CHECK(other.lives());
  CHECK_FALSE(container.is_kept());
}

TEST_CASE("a container that was never made to the end does not exist", "[lifecycle]") {
  const Container container;
  {
    const state::ContainerDirectory directory = state::Store(container.global()).claim(kId);
    directory.write_intent(container.intent_);
    CHECK_THROWS_WITH(read_record(directory), "container does not exist");
  }
  CHECK_THROWS_WITH(query(container.global(), kId), "container does not exist");
  CHECK_THROWS_WITH(start(container.global(), kId), "container does not exist");
  CHECK_THROWS_WITH(kill(container.global(), kId, SIGTERM, true), "container does not exist");
  CHECK(list(container.global()).states.empty());
  CHECK(list(container.global()).unreadable.empty());
  CHECK_THROWS_WITH(remove(container.global(), kId, false), "container does not exist");
}

TEST_CASE("no command finds a container in a root that is not there", "[lifecycle]") {
  const Container container;
  const GlobalOptions global = container.global();
  CHECK_THROWS_WITH(query(global, kId), "container does not exist");
  CHECK_THROWS_WITH(start(global, kId), "container does not exist");
  CHECK_THROWS_WITH(pause(global, kId), "container does not exist");
  CHECK_THROWS_WITH(resume(global, kId), "container does not exist");
  CHECK_THROWS_WITH(processes(global, kId), "container does not exist");
  CHECK_THROWS_WITH(remove(global, kId, false), "container does not exist");
  CHECK_NOTHROW(remove(global, kId, true));
  CHECK_FALSE(container.scratch_.has("root"));
}

TEST_CASE("a running container is not started again, nor a stopped one", "[lifecycle]") {
  const Container container;
  container.keep();
  CHECK_THROWS_WITH(start(container.global(), kId), "cannot start an already running container");
  container.end();
  CHECK_THROWS_WITH(start(container.global(), kId), "cannot start a container that has stopped");
}

TEST_CASE("a signal goes to init and only to a living one", "[lifecycle]") {
  const Container container;
  container.keep();
  kill(container.global(), kId, 0, false);
  CHECK(container.lives());
  kill(container.global(), kId, SIGTERM, false);
  CHECK(sys::await_end(container.init_.pidfd, -1));
  CHECK_THROWS_WITH(kill(container.global(), kId, SIGTERM, false), "container not running");
  CHECK_NOTHROW(kill(container.global(), kId, SIGTERM, true));
}

TEST_CASE("a running container is not deleted, unless by force", "[lifecycle]") {
  const Container container;
  container.keep();
  CHECK_THROWS_WITH(remove(container.global(), kId, false),
                    "cannot delete container web that is not stopped: running");
  CHECK(container.lives());
  CHECK(container.is_kept());
  remove(container.global(), kId, true);
  CHECK_FALSE(container.lives());
  CHECK_FALSE(container.is_kept());
  CHECK_NOTHROW(remove(container.global(), kId, true));
}

TEST_CASE("a stopped container is deleted once", "[lifecycle]") {
  const Container container;
  container.keep();
  container.end();
  remove(container.global(), kId, false);
  CHECK_FALSE(container.is_kept());
  CHECK_THROWS_WITH(remove(container.global(), kId, false), "container does not exist");
}

TEST_CASE("a created container is killed and deleted without force", "[lifecycle]") {
  const Container container;
  container.keep();
  const sys::Fd directory = sys::open_at(container.scratch_.fd(), "root/web", O_RDONLY);
  const start_gate::Gate gate = start_gate::make(directory);
  remove(container.global(), kId, false);
  CHECK_FALSE(container.lives());
  CHECK_FALSE(container.is_kept());
}

TEST_CASE("a container of another boot is stopped, whoever has its pid and even its identity",
          "[lifecycle]") {
  Container container;
  if (!state::boot_of(container.scratch_.fd())) return test::skip("/tmp is in memory");
  container.record_.boot_id = "00000000-0000-0000-0000-000000000000";
  container.intent_.boot_id = container.record_.boot_id;
  container.record_.private_pids = false;
  container.keep();
  CHECK(container.status() == Status::stopped);
  CHECK_THROWS_WITH(kill(container.global(), kId, SIGKILL, false), "container not running");
  CHECK_THROWS_WITH(start(container.global(), kId), "cannot start a container that has stopped");
  remove(container.global(), kId, false);
  CHECK(container.lives());
  CHECK_FALSE(container.is_kept());
}

TEST_CASE("what lies in memory is of this boot, whatever it says", "[lifecycle]") {
  Container container("/dev/shm");
  if (state::boot_of(container.scratch_.fd())) return test::skip("/dev/shm is no tmpfs");
  container.record_.boot_id = container.intent_.boot_id = "";
  container.keep();
  CHECK(container.status() == Status::running);
  CHECK(list(container.global()).states.at(0).status == Status::running);
  // As a version wrote it that asked which boot it was.
  const state::ContainerDirectory directory =
      state::Store(container.global()).open(kId, state::Lock::exclusive);
  container.record_.boot_id = sys::boot_id();
  directory.write_record(container.record_);
  CHECK(container.status() == Status::running);
}

TEST_CASE("a record that was carried out of memory is of no boot", "[lifecycle]") {
  Container container;
  if (!state::boot_of(container.scratch_.fd())) return test::skip("/tmp is in memory");
  container.record_.boot_id = container.intent_.boot_id = "";
  container.keep();
  CHECK(container.status() == Status::stopped);
}

TEST_CASE("a create that another boot cut short is forgotten and nothing is killed for it",
          "[lifecycle]") {
  Container container;
  if (!state::boot_of(container.scratch_.fd())) return test::skip("/tmp is in memory");
  container.intent_.boot_id = "00000000-0000-0000-0000-000000000000";
  // A directory that tells whether anybody was to be killed.
  container.intent_.cgroup_directory = container.scratch_.path();
  container.scratch_.write("cgroup.kill", "");
  { state::Store(container.global()).claim(kId).write_intent(container.intent_); }
  remove(container.global(), kId, true);
  CHECK(container.scratch_.read("cgroup.kill").empty());
  CHECK_FALSE(container.is_kept());
}

TEST_CASE("a damaged record is told of, keeps no list from being made, and goes by force",
          "[lifecycle]") {
  const Container container;
  container.keep();
  container.scratch_.write("root/web/state", "{\"id\": \"web\"");
  CHECK_THROWS_WITH(query(container.global(), kId), Catch::StartsWith("damaged state: line 1"));
  const Listing listing = list(container.global());
  CHECK(listing.states.empty());
  REQUIRE(listing.unreadable.size() == 1);
  CHECK(listing.unreadable[0].first == kId);
  CHECK_THROWS_WITH(remove(container.global(), kId, false), Catch::StartsWith("damaged state"));
  CHECK(container.is_kept());
  remove(container.global(), kId, true);
  CHECK_FALSE(container.is_kept());
}

TEST_CASE("a damaged intent as well goes by force", "[lifecycle]") {
  const Container container;
  container.keep();
  for (const char* file : {"root/web/state", "root/web/intent"}) {
    container.scratch_.write(file, std::string("\0garbage", 8));
  }
  CHECK_THROWS_AS(remove(container.global(), kId, false), Error);
  remove(container.global(), kId, true);
  CHECK_FALSE(container.is_kept());
}

TEST_CASE("what needs a cgroup is refused where the container has none", "[lifecycle]") {
  const Container container;
  container.keep();
  CHECK_THROWS_WITH(pause(container.global(), kId),
                    "pause needs a cgroup, and the container was made without one");
  CHECK_THROWS_WITH(processes(container.global(), kId),
                    "ps needs a cgroup, and the container was made without one");
  CHECK_THROWS_WITH(resume(container.global(), kId), "container not paused");
  container.end();
  CHECK_THROWS_WITH(pause(container.global(), kId), "container not running");
}

TEST_CASE("a poststop hook is run when the container goes, and its failure keeps nothing",
          "[lifecycle]") {
  Container container;
  container.record_.bundle = container.scratch_.path();
  const std::string marker = container.scratch_.path("ran");
  container.intent_.hooks = R"({"poststop": [{"path": "/bin/false"},
    {"path": "/bin/sh", "args": ["sh", "-c", "cat > )" +
                            marker + R"("]}]})";
  container.keep();
  remove(container.global(), kId, true);
  CHECK_FALSE(container.is_kept());
  const std::string state = container.scratch_.read("ran");
  CHECK_THAT(state, Catch::Contains("\"status\":\"stopped\"") && Catch::Contains("\"id\":\"web\""));
}

TEST_CASE("the list has every container with its status, by id", "[lifecycle]") {
  Container one;
  one.keep();
  {
    const state::ContainerDirectory directory = state::Store(one.global()).claim("app");
    Record record = one.record_;
    record.id = "app";
    record.init.start_time += 1;
    record.init.pidfs_inode += 1;
    directory.write_record(record);
  }
  const Listing listing = list(one.global());
  REQUIRE(listing.states.size() == 2);
  CHECK(listing.states[0].record.id == "app");
  CHECK(listing.states[0].status == Status::stopped);
  CHECK(listing.states[1].record.id == kId);
  CHECK(listing.states[1].status == Status::running);
  CHECK(listing.unreadable.empty());
}

}  // namespace
}  // namespace tare::stages
