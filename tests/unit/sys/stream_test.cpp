#include "sys/stream.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "sys/file.hpp"
#include "sys/signals.hpp"
#include "sys/terminal.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

bool is_nonblocking(FdRef fd) {
  return (fcntl(fd.number(), F_GETFL) & O_NONBLOCK) != 0;
}

TEST_CASE("a pipe's ends are none of the standard streams, even where those are closed",
          "[stream]") {
  const Fd saved = duplicate(FdRef(0));
  close(0);
  const Pipe pipe = make_pipe();
  CHECK(pipe.read_end.number() >= 3);
  CHECK(pipe.write_end.number() >= 3);
  CHECK(fcntl(pipe.read_end.number(), F_GETFD) == FD_CLOEXEC);
  CHECK(fcntl(0, F_GETFD) == -1);
  dup2(saved.number(), 0);
}

TEST_CASE("reading tells nothing yet from the end", "[stream]") {
  Pipe pipe = make_pipe();
  set_nonblocking(pipe.read_end);
  std::array<char, 8> buffer{};
  CHECK_FALSE(read_some(pipe.read_end, buffer));
  write_all(pipe.write_end, "abc");
  CHECK(read_some(pipe.read_end, buffer) == 3U);
  pipe.write_end.reset();
  CHECK(read_some(pipe.read_end, buffer) == 0U);
}

TEST_CASE("writing tells no room from nobody there", "[stream]") {
  const IgnoredSigpipe ignored;
  Pipe pipe = make_pipe();
  set_nonblocking(pipe.write_end);
  const std::string much(1 << 20, 'x');
  const std::optional<std::size_t> taken = write_some(pipe.write_end, much);
  REQUIRE(taken);
  CHECK(*taken < much.size());
  CHECK(write_some(pipe.write_end, much) == 0U);
  pipe.read_end.reset();
  CHECK_FALSE(write_some(pipe.write_end, much));
}

TEST_CASE("a terminal whose other side is closed is at its end and takes nothing", "[stream]") {
  const IgnoredSigpipe ignored;
  Fd master = open_at(FdRef::cwd(), "/dev/ptmx", O_RDWR);
  unlock_pty(master);
  Fd slave = open_pty_slave(master);
  std::array<char, 8> buffer{};
  SECTION("the slave") {
    slave.reset();
    CHECK(read_some(master, buffer) == 0U);
  }
  SECTION("the master") {
    master.reset();
    CHECK(read_some(slave, buffer) == 0U);
    CHECK_FALSE(write_some(slave, "x"));
  }
}

TEST_CASE("an inherited pipe is made non-blocking for us and not for who shares it", "[stream]") {
  const Pipe pipe = make_pipe();
  const Fd input = open_nonblocking(pipe.read_end, O_RDONLY);
  const Fd output = open_nonblocking(pipe.write_end, O_WRONLY);
  CHECK(is_nonblocking(input));
  CHECK(is_nonblocking(output));
  CHECK_FALSE(is_nonblocking(pipe.read_end));
  CHECK_FALSE(is_nonblocking(pipe.write_end));
  write_all(output, "through");
  std::array<char, 16> buffer{};
  CHECK(read_some(input, buffer) == 7U);
}

TEST_CASE("an inherited terminal is made non-blocking for us and not for who shares it",
          "[stream]") {
  const Fd master = open_at(FdRef::cwd(), "/dev/ptmx", O_RDWR);
  unlock_pty(master);
  const Fd slave = open_pty_slave(master);
  const Fd ours = open_nonblocking(slave, O_RDONLY);
  CHECK(is_nonblocking(ours));
  CHECK_FALSE(is_nonblocking(slave));
  // Opening a master anew would be another terminal.
  const Fd same = open_nonblocking(master, O_RDWR);
  CHECK(pty_number(same) == pty_number(master));
}

TEST_CASE("an inherited regular file keeps its offset", "[stream]") {
  const Fd file = open_at(FdRef::cwd(), "/tmp", O_TMPFILE | O_RDWR, 0600);
  write_all(file, "first ");
  const Fd ours = open_nonblocking(file, O_WRONLY);
  write_all(ours, "second");
  lseek(file.number(), 0, SEEK_SET);
  CHECK(read_all(file) == "first second");
}

TEST_CASE("an inherited pipe that nobody reads is still handed on", "[stream]") {
  Pipe pipe = make_pipe();
  pipe.read_end.reset();
  CHECK(open_nonblocking(pipe.write_end, O_WRONLY));
}

TEST_CASE("poll tells what is ready, and the end of the time", "[stream]") {
  const Pipe pipe = make_pipe();
  std::array<pollfd, 2> watched = {{{.fd = pipe.read_end.number(), .events = POLLIN, .revents = 0},
                                    {.fd = -1, .events = POLLIN, .revents = 0}}};
  CHECK_FALSE(poll(watched, 0));
  write_all(pipe.write_end, "x");
  CHECK(poll(watched, -1));
  CHECK(watched[0].revents == POLLIN);
  CHECK(watched[1].revents == 0);
}

}  // namespace
}  // namespace tare::sys
