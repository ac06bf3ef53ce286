#include "state/start_gate.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using test::Scratch;

namespace {

constexpr int kPatienceMs = 10'000;

// An init: waits at the gate, and then does what `after` does, still holding it.
template <typename After>
sys::Child make_init(const Scratch& scratch, After after) {
  const start_gate::Gate gate = start_gate::make(scratch.fd());
  return sys::spawn({}, [&] {
    start_gate::await(gate);
    return after();
  });
}

bool ends_within(const sys::Child& child, int timeout_ms) {
  return sys::await_end(child.pidfd, timeout_ms);
}

int status_of(const sys::Child& child) {
  REQUIRE(ends_within(child, kPatienceMs));
  return sys::wait_for(child.pidfd).shell_code();
}

}  // namespace

TEST_CASE("start gate: it is closed as long as init waits, and init waits until it is opened",
          "[start_gate]") {
  const Scratch scratch;
  const sys::Child init = make_init(scratch, [] { return 7; });
  CHECK(start_gate::is_closed(scratch.fd()));
  CHECK_FALSE(ends_within(init, 20));
  CHECK(start_gate::open_and_await(scratch.fd()));
  CHECK_FALSE(start_gate::is_closed(scratch.fd()));
  CHECK(status_of(init) == 7);
}

TEST_CASE("start gate: asking, however often, does not let init go", "[start_gate]") {
  const Scratch scratch;
  const sys::Child init = make_init(scratch, [] { return 0; });
  for (int i = 0; i < 1000; ++i) CHECK(start_gate::is_closed(scratch.fd()));
  CHECK_FALSE(ends_within(init, 20));
  CHECK(start_gate::open_and_await(scratch.fd()));
  CHECK(status_of(init) == 0);
}

TEST_CASE("start gate: the kernel opens it at execve, while the process goes on", "[start_gate]") {
  const Scratch scratch;
  sys::Pipe pipe = sys::make_pipe();
  sys::keep_across_exec(pipe.read_end);
  const std::string input = "/proc/self/fd/" + std::to_string(pipe.read_end.number());
  const sys::Child init = make_init(scratch, [&] {
    return sys::execute("/bin/cat", {"cat", input}, {});
  });
  CHECK(start_gate::open_and_await(scratch.fd()));
  // cat reads from a pipe that we hold open, so it lives.
  CHECK_FALSE(sys::has_ended(init.pidfd));
  CHECK_FALSE(start_gate::is_closed(scratch.fd()));
  sys::send_signal(init.pidfd, SIGKILL);
  CHECK(status_of(init) == 128 + SIGKILL);
}

TEST_CASE("start gate: a start waits for what init does before its execve", "[start_gate]") {
  const Scratch scratch;
  const sys::Pipe pipe = sys::make_pipe();
  const sys::Child init = make_init(scratch, [&] {
    char byte = 0;
    return static_cast<int>(::read(pipe.read_end.number(), &byte, 1));
  });
  const sys::Child starter =
      sys::spawn({}, [&] { return start_gate::open_and_await(scratch.fd()) ? 0 : 1; });
  // Init holds the gate while it waits for the pipe, as it would for a startContainer hook.
  CHECK_FALSE(ends_within(starter, 50));
  sys::write_all(pipe.write_end, "x");
  CHECK(status_of(starter) == 0);
  CHECK(status_of(init) == 1);
}

TEST_CASE("start gate: what init failed with is thrown at whoever opened it", "[start_gate]") {
  const Scratch scratch;
  start_gate::Gate gate = start_gate::make(scratch.fd());
  const sys::Child init = sys::spawn({}, [&] {
    start_gate::await(gate);
    start_gate::answer(gate, Error::from_errno(ENOENT, "exec: \"x\""));
    return 127;
  });
  gate.go.reset();
  CHECK_THROWS_WITH(start_gate::open_and_await(scratch.fd()),
                    "exec: \"x\": no such file or directory");
  CHECK(status_of(init) == 127);
}

TEST_CASE("start gate: an end of the answer that is closed late is no failure", "[start_gate]") {
  const Scratch scratch;
  start_gate::Gate gate = start_gate::make(scratch.fd());
  const sys::Child init = sys::spawn({}, [&] {
    start_gate::await(gate);
    return 0;
  });
  gate.go.reset();
  // As in the moment when the kernel has closed init's gate, and not yet its answer.
  CHECK(start_gate::open_and_await(scratch.fd()));
  CHECK(status_of(init) == 0);
}

TEST_CASE("start gate: with nobody at it there is nothing to open", "[start_gate]") {
  const Scratch scratch;
  CHECK_FALSE(start_gate::is_closed(scratch.fd()));
  CHECK_FALSE(start_gate::open_and_await(scratch.fd()));
  start_gate::make(scratch.fd());
  CHECK_FALSE(start_gate::is_closed(scratch.fd()));
  CHECK_FALSE(start_gate::open_and_await(scratch.fd()));
}

TEST_CASE("start gate: an init that is killed at it leaves it open", "[start_gate]") {
  const Scratch scratch;
  const sys::Child init = make_init(scratch, [] { return 0; });
  sys::send_signal(init.pidfd, SIGKILL);
  CHECK(status_of(init) == 128 + SIGKILL);
  CHECK_FALSE(start_gate::is_closed(scratch.fd()));
  CHECK_FALSE(start_gate::open_and_await(scratch.fd()));
}

TEST_CASE("start gate: a starter that is killed leaves a gate that can be opened", "[start_gate]") {
  const Scratch scratch;
  const sys::Child init = make_init(scratch, [] { return 3; });
  const sys::Child starter = sys::spawn({}, [&] {
    const sys::Fd gate = sys::open_at(scratch.fd(), "gate", O_WRONLY | O_NONBLOCK);
    return ::raise(SIGKILL);
  });
  CHECK(status_of(starter) == 128 + SIGKILL);
  CHECK(start_gate::is_closed(scratch.fd()));
  CHECK(start_gate::open_and_await(scratch.fd()));
  CHECK(status_of(init) == 3);
}

TEST_CASE("start gate: there is one in a directory, and no other file passes for it",
          "[start_gate]") {
  const Scratch scratch;
  start_gate::make(scratch.fd());
  CHECK_THROWS_AS(start_gate::make(scratch.fd()), Error);

  const Scratch with_file;
  with_file.write("gate", "");
  CHECK_THROWS_AS(start_gate::open_and_await(with_file.fd()), Error);
  CHECK(with_file.read("gate").empty());

  const Scratch with_link;
  sys::make_symlink(scratch.path("gate"), with_link.fd(), "gate");
  CHECK_THROWS_AS(start_gate::is_closed(with_link.fd()), Error);
}
