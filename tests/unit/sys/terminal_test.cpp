#include "sys/terminal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

struct Pair {
  Fd master;
  Fd slave;
};

Pair open_pair() {
  Pair pair{.master = open_at(FdRef::cwd(), "/dev/ptmx", O_RDWR), .slave = {}};
  unlock_pty(pair.master);
  pair.slave = open_pty_slave(pair.master);
  return pair;
}

struct termios mode_of(FdRef terminal) {
  struct termios mode {};
  tcgetattr(terminal.number(), &mode);
  return mode;
}

TEST_CASE("the slave of a pty is the device with the master's number", "[terminal]") {
  const Pair pair = open_pair();
  const struct stat slave = status(pair.slave);
  CHECK(S_ISCHR(slave.st_mode));
  CHECK(major(slave.st_rdev) == 136);
  CHECK(minor(slave.st_rdev) == pty_number(pair.master));
  CHECK(fcntl(pair.slave.number(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("only a terminal is one", "[terminal]") {
  const Pair pair = open_pair();
  const Pipe pipe = make_pipe();
  CHECK(is_terminal(pair.slave));
  CHECK(is_terminal(pair.master));
  CHECK_FALSE(is_terminal(pipe.read_end));
  CHECK_FALSE(find_window_size(pipe.read_end));
  CHECK_THROWS_WITH(unlock_pty(pipe.read_end), Catch::Contains("inappropriate ioctl for device"));
  CHECK_THROWS_WITH(open_pty_slave(pipe.read_end), Catch::Contains("TIOCGPTPEER"));
  CHECK_THROWS_WITH(RawMode(pipe.read_end), Catch::Contains("tcgetattr"));
}

TEST_CASE("the size that the master gets is the slave's", "[terminal]") {
  const Pair pair = open_pair();
  set_window_size(pair.master, {.rows = 11, .columns = 222});
  CHECK(find_window_size(pair.slave) == WindowSize{.rows = 11, .columns = 222});
}

TEST_CASE("in raw mode every byte passes as it is, and afterwards all is as before", "[terminal]") {
  const Pair pair = open_pair();
  const struct termios before = mode_of(pair.slave);
  std::array<char, 16> buffer{};
  {
    RawMode raw(pair.slave);
    write_all(pair.master, "\x03\x04\r");
    CHECK(read_some(pair.slave, buffer) == 3U);
    CHECK(std::string(buffer.data(), 3) == "\x03\x04\r");
    write_all(pair.slave, "\n");
    // A message of our own begins at the left.
    CHECK(read_some(pair.master, buffer) == 2U);

    tcsetattr(pair.slave.number(), TCSANOW, &before);
    CHECK((mode_of(pair.slave).c_lflag & ICANON) != 0);
    raw.renew();
    CHECK((mode_of(pair.slave).c_lflag & ICANON) == 0);
  }
  const struct termios after = mode_of(pair.slave);
  CHECK(after.c_iflag == before.c_iflag);
  CHECK(after.c_oflag == before.c_oflag);
  CHECK(after.c_lflag == before.c_lflag);
}

TEST_CASE("raw mode ends with an error that passes", "[terminal]") {
  const Pair pair = open_pair();
  const struct termios before = mode_of(pair.slave);
  try {
    const RawMode raw(pair.slave);
    throw Error(ErrorKind::system, "passing");
  } catch (const Error&) {
    CHECK(mode_of(pair.slave).c_lflag == before.c_lflag);
  }
}

TEST_CASE("raw mode leaves the line ends of the terminal's own output alone", "[terminal]") {
  const Pair pair = open_pair();
  const tcflag_t before = mode_of(pair.slave).c_oflag;
  REQUIRE((before & OPOST) != 0);
  const RawMode raw(pair.slave);
  CHECK(mode_of(pair.slave).c_oflag == before);
}

TEST_CASE("line ends that are kept come out of the master as they went in", "[terminal]") {
  const Pair pair = open_pair();
  const auto passed = [&] {
    write_all(pair.slave, "a\n");
    std::string got(8, '\0');
    got.resize(read_some(pair.master, got).value_or(0));
    return got;
  };
  CHECK(passed() == "a\r\n");
  keep_line_ends(pair.master);
  CHECK(passed() == "a\n");
  const Pipe pipe = make_pipe();
  CHECK_THROWS_WITH(keep_line_ends(pipe.read_end), Catch::Contains("tcgetattr"));
}

TEST_CASE("a session leader gets the terminal for its own, and nobody else does", "[terminal]") {
  const Pair pair = open_pair();
  const Child leader = spawn({}, [&] {
    new_session();
    control_by_terminal(pair.slave);
    return tcgetsid(pair.slave.number()) == getpid() ? 0 : 1;
  });
  CHECK(wait_for(leader.pidfd).code == 0);
  const Child other = spawn({}, [&] {
    try {
      control_by_terminal(pair.slave);
    } catch (const Error& error) {
      return error.errno_value() == EPERM ? 0 : 2;
    }
    return 1;
  });
  CHECK(wait_for(other.pidfd).code == 0);
}

}  // namespace
}  // namespace tare::sys
