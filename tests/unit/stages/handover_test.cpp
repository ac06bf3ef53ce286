#include "stages/handover.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>

#include "../../scratch.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

using test::Scratch;

sys::Child ended(int code) {
  return sys::spawn({}, [code] { return code; });
}

void write_pid_file(const Scratch& scratch, pid_t pid, Undo& undo) {
  hand_over_process({.pid = pid}, scratch.path("pid"), "", undo);
}

TEST_CASE("a terminal without an owner is refused in runc's words", "[handover]") {
  constexpr const char* kNoSocket =
      "cannot allocate tty if runc will detach without setting console socket";
  constexpr const char* kNoUse =
      "cannot use console socket if runc will not detach or allocate tty";
  struct Case {
    bool terminal, socket, detached;
    const char* fault;
  };
  for (const Case& each : {Case{true, true, true, nullptr}, Case{true, false, true, kNoSocket},
                           Case{true, true, false, kNoUse}, Case{true, false, false, nullptr},
                           Case{false, true, true, kNoUse}, Case{false, false, true, nullptr},
                           Case{false, true, false, kNoUse}, Case{false, false, false, nullptr}}) {
    CAPTURE(each.terminal, each.socket, each.detached);
    if (each.fault == nullptr) {
      CHECK_NOTHROW(check_console(each.terminal, each.socket, each.detached));
    } else {
      CHECK_THROWS_WITH(check_console(each.terminal, each.socket, each.detached), each.fault);
    }
  }
}

TEST_CASE("a pid file is the number and nothing else", "[handover]") {
  const Scratch scratch;
  Undo undo;
  write_pid_file(scratch, 4194304, undo);
  CHECK(scratch.read("pid") == "4194304");
  CHECK(sys::list_directory(scratch.fd()) == std::vector<std::string>{"pid"});
  undo.commit();
}

TEST_CASE("a pid file replaces what was there as a whole, a link as well", "[handover]") {
  const Scratch scratch;
  scratch.write("victim", "kept");
  REQUIRE(sys::make_symlink("victim", scratch.fd(), "pid"));
  Undo undo;
  write_pid_file(scratch, 7, undo);
  undo.commit();
  CHECK(scratch.read("victim") == "kept");
  CHECK(scratch.read("pid") == "7");
  CHECK(S_ISREG(sys::find_status(scratch.fd(), "pid")->st_mode));
}

TEST_CASE("whoever reads a pid file sees all of it or the one before", "[handover]") {
  const Scratch scratch;
  scratch.write("pid", "11111");
  const sys::Fd old = sys::open_at(scratch.fd(), "pid", O_RDONLY);
  Undo undo;
  write_pid_file(scratch, 22222, undo);
  undo.commit();
  // It was not written into: the file that was open before has its old content.
  CHECK(sys::read_all(old) == "11111");
}

TEST_CASE("a pid file goes again when the command fails", "[handover]") {
  const Scratch scratch;
  {
    Undo undo;
    write_pid_file(scratch, 7, undo);
    CHECK(scratch.has("pid"));
  }
  CHECK(sys::list_directory(scratch.fd()).empty());
}

TEST_CASE("what a killed runtime left of a pid file is in nobody's way", "[handover]") {
  const Scratch scratch;
  scratch.write("outside", "kept");
  SECTION("a file") {
    scratch.write(".pid", "99");
  }
  SECTION("a link") {
    REQUIRE(sys::make_symlink("outside", scratch.fd(), ".pid"));
  }
  Undo undo;
  write_pid_file(scratch, 7, undo);
  undo.commit();
  CHECK(scratch.read("pid") == "7");
  CHECK(scratch.read("outside") == "kept");
  CHECK_FALSE(scratch.has(".pid"));
}

TEST_CASE("a pid file that cannot be written leaves the one before and nothing else",
          "[handover]") {
  const Scratch scratch;
  scratch.write("pid", "before");
  const sys::Child child = sys::spawn({}, [&] {
    const rlimit nothing{0, 0};
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &nothing);
    try {
      Undo undo;
      write_pid_file(scratch, 7, undo);
    } catch (const Error& error) {
      return error.message().starts_with("pid file: write ") ? 0 : 1;
    }
    return 2;
  });
  CHECK(sys::wait_for(child.pidfd).code == 0);
  CHECK(scratch.read("pid") == "before");
  CHECK_FALSE(scratch.has(".pid"));
}

TEST_CASE("a pid file in no directory is an error that says so", "[handover]") {
  const Scratch scratch;
  Undo undo;
  CHECK_THROWS_WITH(
      hand_over_process({.pid = 7}, scratch.path("no/pid"), "", undo),
      Catch::StartsWith("pid file: open ") && Catch::EndsWith("/no: no such file or directory"));
  CHECK_THROWS_AS(hand_over_process({.pid = 7}, scratch.path() + "/", "", undo), Error);
  CHECK(sys::list_directory(scratch.fd()).empty());
}

TEST_CASE("nothing is written and nothing is sent where nobody asks", "[handover]") {
  Undo undo;
  CHECK_NOTHROW(hand_over_process({}, "", "", undo));
}

TEST_CASE("a pidfd is sent to whoever listens, and it is the process's", "[handover]") {
  const Scratch scratch;
  const sys::Fd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = scratch.path("s");
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(::bind(server.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(server.number(), 1) == 0);

  const sys::Child process = ended(9);
  Undo undo;
  hand_over_process(process, "", path, undo);
  const sys::Fd accepted(::accept(server.number(), nullptr, nullptr));
  const sys::Message message = sys::receive_message(accepted);
  CHECK(message.bytes == "pidfd");
  REQUIRE(message.attached);
  CHECK(sys::wait_for(message.attached).code == 9);
}

TEST_CASE("without a pidfd's receiver no pid file is written", "[handover]") {
  const Scratch scratch;
  Undo undo;
  CHECK_THROWS_WITH(hand_over_process({.pid = 7}, scratch.path("pid"), scratch.path("s"), undo),
                    "pidfd socket: connect " + scratch.path("s") + ": no such file or directory");
  CHECK_FALSE(scratch.has("pid"));
}

TEST_CASE("an identity that was taken finds the process again", "[handover]") {
  const sys::Child process = sys::spawn({}, [] { return ::pause(); });
  const InitProcess identity = identity_of(process);
  CHECK(identity.pid == process.pid);
  CHECK(sys::open_identified(
      identity.pid, {.pidfs_inode = identity.pidfs_inode, .start_time = identity.start_time}));
  sys::send_signal(process.pidfd, SIGKILL);
  sys::wait_for(process.pidfd);
}

TEST_CASE("the death of init is told by its cause", "[handover]") {
  const Scratch scratch;
  CHECK(death_of_init(ended(3), "").message() == "the container's init exited with status 3");
  CHECK(death_of_init(ended(0), scratch.path()).message() ==
        "the container's init exited with status 0");
  const sys::Child term = sys::spawn({}, [] { return ::raise(SIGTERM); });
  CHECK(death_of_init(term, "").message() == "the container's init was killed by signal 15");
}

TEST_CASE("a kill for want of memory is told in runc's words, and only that", "[handover]") {
  const auto [events, oom] = GENERATE(table<std::string, bool>({
      {"low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n", true},
      {"low 0\nhigh 0\nmax 3\noom 1\noom_kill 10\n", true},
      {"low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\noom_group_kill 1\n", false},
      {"low 0\nhigh 0\nmax 3\noom 1\n", false},
      {"", false},
  }));
  const Scratch scratch;
  scratch.write("memory.events", events);
  const sys::Child killed = sys::spawn({}, [] { return ::raise(SIGKILL); });
  CHECK(death_of_init(killed, scratch.path()).message() ==
        (oom ? "container init was OOM-killed (memory limit too low?)"
             : "the container's init was killed by signal 9"));
  // Another end than SIGKILL is no kill for want of memory, whatever happened in the cgroup.
  CHECK(death_of_init(ended(1), scratch.path()).message() ==
        "the container's init exited with status 1");
}

TEST_CASE("a cgroup that is gone may have been short of memory, if it was a kill", "[handover]") {
  const sys::Child killed = sys::spawn({}, [] { return ::raise(SIGKILL); });
  CHECK(death_of_init(killed, "/no/such/cgroup").message() ==
        "the container's init was killed by signal 9: its cgroup is gone, and what it had counted: "
        "a memory limit that is too low does this");
  CHECK(death_of_init(ended(1), "/no/such/cgroup").message() ==
        "the container's init exited with status 1");
}

TEST_CASE("a death for want of memory is told of a process that has not executed", "[handover]") {
  const Scratch scratch;
  scratch.write("memory.events", "oom_kill 1\n");
  const bool executes = GENERATE(false, true);
  const sys::Child child = sys::spawn({}, [&] {
    if (executes) sys::execute("/bin/true", {"true"}, {});
    return ::raise(SIGKILL);
  });
  InitProcess init = identity_of(child);
  sys::await_end(child.pidfd, -1);
  CHECK(sys::has_executed(child.pid) == executes);
  if (executes) {
    CHECK_NOTHROW(check_executed(init, scratch.path()));
  } else {
    CHECK_THROWS_WITH(check_executed(init, scratch.path()),
                      Catch::StartsWith("container init was OOM-killed"));
    CHECK_NOTHROW(check_executed(init, "/no/such/cgroup"));
    // The pid is another's by now.
    ++init.pidfs_inode;
    CHECK_NOTHROW(check_executed(init, scratch.path()));
  }
  sys::wait_for(child.pidfd);
  CHECK(sys::has_executed(child.pid));
}

TEST_CASE("a listener is fetched from the process and sent with the state", "[handover]") {
  const Scratch scratch;
  const std::string path = scratch.path("agent");
  const sys::Fd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(::bind(server.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(server.number(), 1) == 0);

  // It opens what the parent does not have, tells its number, and waits.
  auto [near, far] = sys::socket_pair();
  const sys::Child child = sys::spawn({}, [&] {
    near.reset();
    const sys::Fd file = sys::open_at(sys::FdRef::cwd(), "/dev/zero", O_RDONLY);
    sys::send_message(far, std::to_string(file.number()));
    return sys::receive_message(far).bytes.empty() ? 0 : 1;
  });
  far.reset();
  hand_over_listener(child, sys::receive_message(near).bytes, {.path = path}, "{}");
  const sys::Fd accepted(::accept(server.number(), nullptr, nullptr));
  const sys::Message message = sys::receive_message(accepted);
  CHECK(message.bytes == "{}");
  REQUIRE(message.attached);
  char byte = 'x';
  CHECK(::read(message.attached.number(), &byte, 1) == 1);
  CHECK(byte == 0);
  // The agent may wait for the end of what it is told.
  CHECK(sys::receive_message(accepted).bytes.empty());
  near.reset();
  sys::wait_for(child.pidfd);
}

TEST_CASE("a listener's number that is none is refused", "[handover]") {
  const sys::Child child = ended(0);
  for (const char* number : {"", "-1", "x", "3x", " 3", "99999999999"}) {
    CAPTURE(number);
    CHECK_THROWS_WITH(hand_over_listener(child, number, {.path = "/nonesuch"}, "{}"),
                      Catch::Contains("named no descriptor"));
  }
  sys::wait_for(child.pidfd);
}

}  // namespace
}  // namespace tare::stages
