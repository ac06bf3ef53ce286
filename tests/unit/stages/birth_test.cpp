#include "stages/birth.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/borrower.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

const Join kJoinNothing = [](sys::FdRef) {};

// Takes away every child that has ended; whether there was one.
bool reap() {
  bool found = false;
  while (::waitpid(-1, nullptr, WNOHANG) > 0) found = true;
  return found;
}

TEST_CASE("the process that a joiner makes is the caller's child", "[birth]") {
  reap();
  const pid_t self = ::getpid();
  const sys::Child child = spawn_through_joiner(
      {}, kJoinNothing, [&] { return ::getppid() == self ? 42 : 1; }, "");
  CHECK(child.pid > 0);
  CHECK(sys::wait_for(child.pidfd).code == 42);
  CHECK_FALSE(reap());
}

TEST_CASE("the joiner is gone when the process is there", "[birth]") {
  sys::Pipe pipe = sys::make_pipe();
  const sys::Child child = spawn_through_joiner(
      {}, [&](sys::FdRef) { sys::write_all(pipe.write_end, std::to_string(::getpid())); },
      [] { return ::pause(); }, "");
  pipe.write_end.reset();
  // Only the joiner's number is written, and the child holds its copy of the pipe open.
  std::array<char, 32> text{};
  const std::size_t length = sys::read_some(pipe.read_end, text).value_or(0);
  const pid_t joiner = std::stoi(std::string(text.data(), length));
  CHECK(joiner != child.pid);
  CHECK_FALSE(sys::open_pidfd(joiner));
  CHECK_FALSE(sys::has_ended(child.pidfd));
  sys::send_signal(child.pidfd, SIGKILL);
  sys::wait_for(child.pidfd);
}

TEST_CASE("what the joiner has done to itself is so for the process", "[birth]") {
  const sys::Child child = spawn_through_joiner(
      {},
      [](sys::FdRef) {
        const sys::Fd directory = sys::open_at(sys::FdRef::cwd(), "/usr", O_PATH);
        sys::change_directory(directory);
      },
      [] { return sys::current_directory() == "/usr" ? 0 : 1; }, "");
  CHECK(sys::wait_for(child.pidfd).code == 0);
}

TEST_CASE("what the joiner fails with is thrown here, and no process is left", "[birth]") {
  reap();
  bool ran = false;
  CHECK_THROWS_WITH(spawn_through_joiner(
                        {}, [](sys::FdRef) { throw Error::from_errno(EPERM, "setns"); },
                        [&] {
                          ran = true;
                          return 0;
                        },
                        ""),
                    "setns: operation not permitted");
  CHECK_FALSE(ran);
  CHECK_FALSE(reap());
}

TEST_CASE("a clone that the kernel refuses is thrown here", "[birth]") {
  reap();
  // CLONE_FS with a new mount namespace is what clone(2) forbids.
  CHECK_THROWS_WITH(spawn_through_joiner(
                        {.namespaces = 0x00020000 | 0x200}, kJoinNothing, [] { return 0; }, ""),
                    "clone3(CLONE_NEWNS|0x200): invalid argument");
  CHECK_FALSE(reap());
}

TEST_CASE("a joiner that dies without a word is told of", "[birth]") {
  reap();
  const int how = GENERATE(0, 1);
  CHECK_THROWS_WITH(spawn_through_joiner(
                        {},
                        [&](sys::FdRef) {
                          if (how == 0) ::raise(SIGKILL);
                          sys::exit_now(0);
                        },
                        [] { return 0; }, ""),
                    how == 0 ? "the process that joins namespaces was killed by signal 9"
                             : "the process that joins namespaces exited with status 0");
  CHECK_FALSE(reap());
}

TEST_CASE("the process holds no end of the joiner's channel", "[birth]") {
  const auto count = [] {
    const sys::Fd directory = sys::open_at(sys::FdRef::cwd(), "/proc/self/fd", O_RDONLY);
    int sockets = 0;
    for (const std::string& name : sys::list_directory(directory)) {
      const auto target = sys::find_status(directory, name);
      if (!target) continue;
      try {
        sockets += sys::read_link(directory, name).starts_with("socket:") ? 1 : 0;
      } catch (const Error&) {
        // The descriptor of the listing itself.
        continue;
      }
    }
    return sockets;
  };
  const int before = count();
  // The parent's end, which is closed on exec like every other, is all that is left of it.
  const sys::Child child = spawn_through_joiner(
      {}, kJoinNothing, [&] { return count() - before; }, "");
  CHECK(sys::wait_for(child.pidfd).code <= 1);
}

TEST_CASE("what the joiner closes the process is not born with", "[birth]") {
  const sys::Fd directory = sys::open_at(sys::FdRef::cwd(), "/usr", O_PATH | O_DIRECTORY);
  const int number = directory.number();
  const sys::Child child = spawn_through_joiner(
      {}, [](sys::FdRef to_parent) { sys::close_from(3, {to_parent.number()}); },
      [&] { return ::fcntl(number, F_GETFD) < 0 && errno == EBADF ? 42 : 1; }, "");
  CHECK(sys::wait_for(child.pidfd).code == 42);
}

TEST_CASE("the joiner is placed before it joins", "[birth]") {
  sys::Pipe pipe = sys::make_pipe();
  pid_t placed = 0;
  const sys::Child child = spawn_through_joiner(
      {}, [&](sys::FdRef) { sys::write_all(pipe.write_end, std::to_string(::getpid())); },
      [] { return 0; }, "",
      [&](pid_t joiner) {
        placed = joiner;
        sys::write_all(pipe.write_end, "placed ");
      });
  sys::wait_for(child.pidfd);
  std::array<char, 64> text{};
  const std::size_t length = sys::read_some(pipe.read_end, text).value_or(0);
  CHECK(std::string(text.data(), length) == "placed " + std::to_string(placed));
}

TEST_CASE("a joiner that cannot be placed makes nothing and ends", "[birth]") {
  sys::Pipe pipe = sys::make_pipe();
  CHECK_THROWS_WITH(
      spawn_through_joiner(
          {}, [&](sys::FdRef) { sys::write_all(pipe.write_end, "joined"); }, [] { return 0; }, "",
          [](pid_t) { throw Error(ErrorKind::system, "no place"); }),
      "no place");
  pipe.write_end.reset();
  // The end of the pipe: the joiner held the last copy, and has written nothing.
  std::array<char, 64> text{};
  CHECK(sys::read_some(pipe.read_end, text).value_or(0) == 0);
  ::waitpid(-1, nullptr, 0);
}

TEST_CASE("the process that a borrower makes is the caller's child, and has memory of its own",
          "[birth]") {
  if (!sys::kLendsMemory) return;
  reap();
  const pid_t self = ::getpid();
  int writer = 0;
  pid_t borrower = 0;
  const sys::Child child = spawn_through_borrower(
      {}, [&] { borrower = ::getpid(); },
      [&] {
        writer = 7;
        return ::getppid() == self ? 42 : 1;
      });
  CHECK(child.pid > 0);
  CHECK(borrower != self);
  CHECK(borrower != child.pid);
  CHECK_FALSE(sys::open_pidfd(borrower));
  CHECK(sys::wait_for(child.pidfd).code == 42);
  CHECK(writer == 0);
  CHECK_FALSE(reap());
}

TEST_CASE("the end of a process that a borrower has made is told like any child's", "[birth]") {
  if (!sys::kLendsMemory) return;
  reap();
  const sys::Child child = spawn_through_borrower(
      {}, [] {}, [] { return 0; });
  siginfo_t info{};
  // As whoever waits without __WALL does, which takes a child with another signal for none.
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child.pid), &info, WEXITED) == 0);
  CHECK(info.si_code == CLD_EXITED);
}

TEST_CASE("what a borrower has done to itself is so for the process, and not for the caller",
          "[birth]") {
  if (!sys::kLendsMemory) return;
  const sys::Fd kept = sys::open_at(sys::FdRef::cwd(), "/dev/null", O_RDONLY);
  const sys::Child child = spawn_through_borrower(
      {},
      [&] {
        sys::close_from(3);
        if (::chdir("/usr") != 0) throw Error(ErrorKind::internal, "chdir");
      },
      [&] {
        std::array<char, 64> directory{};
        const bool is_there = ::getcwd(directory.data(), directory.size()) != nullptr &&
                              std::string_view(directory.data()) == "/usr";
        return is_there && ::fcntl(kept.number(), F_GETFD) < 0 ? 0 : 1;
      });
  CHECK(sys::wait_for(child.pidfd).code == 0);
  CHECK(::fcntl(kept.number(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("what a borrower fails with is thrown, and why it died", "[birth]") {
  if (!sys::kLendsMemory) return;
  reap();
  const auto body = [] { return 0; };
  const auto fail = [] { throw Error::from_errno(ENOENT, "setns /x", "the hint"); };
  try {
    spawn_through_borrower({}, fail, body);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.message() == "setns /x: no such file or directory");
    CHECK(error.hint() == "the hint");
  }
  CHECK_THROWS_WITH(spawn_through_borrower(
                        {}, [] { ::raise(SIGKILL); }, body),
                    "the process that joins namespaces was killed by signal 9");
  CHECK_FALSE(reap());
}

}  // namespace
}  // namespace tare::stages
