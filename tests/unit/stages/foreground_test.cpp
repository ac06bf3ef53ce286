#include "stages/foreground.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "sys/file.hpp"
#include "sys/stream.hpp"
#include "sys/terminal.hpp"

namespace tare::stages {
namespace {

struct Terminal {
  sys::Fd master = sys::open_at(sys::FdRef::cwd(), "/dev/ptmx", O_RDWR);
  sys::Fd slave{};
  Terminal() {
    sys::unlock_pty(master);
    slave = sys::open_pty_slave(master);
  }
};

// Everything that comes until the end, or until `wanted` has come.
std::string read_until(sys::FdRef fd, const std::string& wanted) {
  std::string text;
  std::array<char, 4096> chunk{};
  while (wanted.empty() || text.find(wanted) == std::string::npos) {
    const std::size_t got = sys::read_some(fd, chunk).value_or(0);
    if (got == 0) break;
    text.append(chunk.data(), got);
  }
  return text;
}

std::string read_rest(sys::FdRef fd) {
  return read_until(fd, "");
}

// What stands for the container's process: a shell, in a terminal of its own where it is given one.
struct Payload {
  std::string script{};
  bool terminal = true;

  int operator()(const Terminal& own) const {
    sys::unblock_signals();
    sys::signal_at_parent_death(SIGKILL);
    if (terminal) {
      sys::new_session();
      sys::control_by_terminal(own.slave);
      for (const int number : {0, 1, 2}) sys::place(own.slave, number);
    }
    return sys::execute("/bin/sh", {"sh", "-c", script}, {"PATH=/usr/bin:/bin"});
  }
};

// A process that attends a payload, as `tare run` does, and the other ends of its stdin and stdout.
class Attended {
 public:
  // `screen`: a terminal that it is called from; without one, stdin and stdout are pipes.
  explicit Attended(const Payload& payload, const Terminal* screen = nullptr) {
    child_ = sys::spawn({}, [&] {
      sys::place(screen != nullptr ? screen->slave.ref() : in_.read_end.ref(), 0);
      sys::place(screen != nullptr ? screen->slave.ref() : out_.write_end.ref(), 1);
      // Nobody else holds these, as nobody would.
      in_ = {};
      out_ = {};
      return run(payload);
    });
    in_.read_end.reset();
    out_.write_end.reset();
  }
  Attended(const Attended&) = delete;
  Attended& operator=(const Attended&) = delete;
  ~Attended() {
    sys::send_signal(child_.pidfd, SIGKILL);
    sys::reap_ended(child_.pid);
  }

  sys::Fd& input() { return in_.write_end; }
  sys::Fd& output() { return out_.read_end; }
  void signal(int number) { sys::send_signal(child_.pidfd, number); }
  std::string until(const std::string& wanted) { return read_until(output(), wanted); }
  int end() { return sys::wait_for(child_.pidfd).shell_code(); }
  bool has_ended() const { return sys::has_ended(child_.pidfd); }

  // Waits until the payload has ended, whatever the process that attends it does.
  void await_payload() const {
    const std::string own = std::to_string(child_.pid);
    const std::string pid =
        sys::read_file(sys::FdRef::cwd(), "/proc/" + own + "/task/" + own + "/children");
    const std::optional<sys::Fd> pidfd =
        pid.empty() ? std::nullopt : sys::open_pidfd(std::stoi(pid));
    if (!pidfd) return;
    pollfd ended{.fd = pidfd->number(), .events = POLLIN, .revents = 0};
    REQUIRE(sys::poll({&ended, 1}, 10000));
  }

  // How much of a second of processor time it uses while nothing comes from `idle`.
  double busy_ms(sys::FdRef idle) const {
    const long before = ticks();
    pollfd nothing{.fd = idle.number(), .events = POLLPRI, .revents = 0};
    sys::poll({&nothing, 1}, 200);
    return static_cast<double>(ticks() - before) * 1000.0 /
           static_cast<double>(sysconf(_SC_CLK_TCK));
  }

 private:
  static int run(const Payload& payload) {
    sys::become_subreaper();
    const sys::BlockedSignals blocked;
    std::optional<Terminal> own;
    own.emplace();
    if (payload.terminal) make_ready(own->master);
    const sys::Child child = sys::spawn({}, [&] { return payload(*own); });
    own->slave.reset();
    std::optional<sys::Fd> master;
    if (payload.terminal) master = std::move(own->master);
    return attend(blocked, child, std::move(master)).shell_code();
  }

  // utime and stime, fields 14 and 15 of /proc/PID/stat.
  long ticks() const {
    const std::string text =
        sys::read_file(sys::FdRef::cwd(), "/proc/" + std::to_string(child_.pid) + "/stat");
    std::size_t at = text.rfind(')');
    for (int field = 2; field < 14; ++field) at = text.find(' ', at + 1);
    std::size_t used = 0;
    const long user = std::stol(text.substr(at), &used);
    return user + std::stol(text.substr(at + used));
  }

  sys::Pipe in_ = sys::make_pipe();
  sys::Pipe out_ = sys::make_pipe();
  sys::Child child_{};
};

// Prints the number of each signal of these that it gets, until SIGTERM.
std::string catching(const std::string& numbers) {
  return "for n in " + numbers +
         "; do trap \"echo got $n.\" $n; done\ntrap 'echo got 15.; exit 0' TERM\necho ready\n"
         "while :; do read line; done\n";
}

TEST_CASE("the end of the attended process is its own", "[foreground]") {
  const bool terminal = GENERATE(false, true);
  CHECK(Attended({.script = "exit 0", .terminal = terminal}).end() == 0);
  CHECK(Attended({.script = "exit 42", .terminal = terminal}).end() == 42);
  CHECK(Attended({.script = "kill -KILL $$", .terminal = terminal}).end() == 137);
}

TEST_CASE("a process without a terminal has the caller's streams", "[foreground]") {
  Attended attended({.script = "cat; echo end", .terminal = false});
  sys::write_all(attended.input(), "text\n");
  attended.input().reset();
  CHECK(read_rest(attended.output()) == "text\nend\n");
  CHECK(attended.end() == 0);
}

TEST_CASE("signals reach the process, each one as what it is", "[foreground]") {
  const bool terminal = GENERATE(false, true);
  Attended attended({.script = catching("1 2 3 10 12 14 18 26"), .terminal = terminal});
  attended.until("ready");
  for (const int number :
       {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGVTALRM}) {
    attended.signal(number);
    const std::string wanted = "got " + std::to_string(number) + ".";
    CHECK_THAT(attended.until(wanted), Catch::EndsWith(wanted + "\n"));
  }
  attended.signal(SIGTERM);
  CHECK(attended.end() == 0);
}

TEST_CASE("signals that are about tare itself do not reach the process", "[foreground]") {
  Attended attended({.script = catching("13 17 23 28"), .terminal = false});
  attended.until("ready\n");
  for (const int number : {SIGPIPE, SIGCHLD, SIGURG, SIGWINCH}) attended.signal(number);
  attended.signal(SIGTERM);
  CHECK(read_rest(attended.output()) == "got 15.\n");
  CHECK(attended.end() == 0);
}

TEST_CASE("orphans of the process are reaped meanwhile", "[foreground]") {
  Attended attended({.script = "trap 'echo alive' VTALRM\n"
                               "(sh -c 'echo orphan $$; exec sleep 60 >&-' &)\n"
                               "while :; do read line; done",
                     .terminal = false});
  const std::string text = attended.until("\n");
  const int orphan = std::stoi(text.substr(text.find(' ')));
  const std::optional<sys::Fd> pidfd = sys::open_pidfd(orphan);
  REQUIRE(pidfd);
  sys::send_signal(*pidfd, SIGKILL);
  pollfd ended{.fd = pidfd->number(), .events = POLLIN, .revents = 0};
  CHECK(sys::poll({&ended, 1}, 10000));
  // Higher than SIGCHLD, so it is received after that.
  attended.signal(SIGVTALRM);
  attended.until("alive");
  CHECK(kill(orphan, 0) == -1);
}

TEST_CASE("all that is written to the terminal comes out, though its reader is late",
          "[foreground]") {
  Attended attended({.script = "seq 1 30000; exit 3"});
  std::string expected;
  for (int number = 1; number <= 30000; ++number) expected += std::to_string(number) + "\n";
  CHECK(attended.busy_ms(attended.input()) < 60);
  CHECK(read_rest(attended.output()) == expected);
  CHECK(attended.end() == 3);
}

TEST_CASE("all that is read from stdin reaches the terminal, though its reader is late",
          "[foreground]") {
  Attended attended({.script = "stty raw -echo; echo ready; head -c 300000 | cksum"});
  attended.until("ready\n");
  std::string text;
  while (text.size() < 300000) text += "some line " + std::to_string(text.size()) + "\n";
  const sys::Child writer = sys::spawn({}, [&] {
    sys::write_all(attended.input(), std::string_view(text).substr(0, 300000));
    return 0;
  });
  const Payload direct{.script = "head -c 300000 | cksum", .terminal = false};
  Attended reference(direct);
  sys::write_all(reference.input(), std::string_view(text).substr(0, 300000));
  CHECK(read_rest(attended.output()) == read_rest(reference.output()));
  CHECK(sys::wait_for(writer.pidfd).code == 0);
}

TEST_CASE("a terminal whose process does not read stops stdin and costs nothing", "[foreground]") {
  Attended attended({.script = "stty raw -echo; echo ready; exec sleep 60"});
  attended.until("ready");
  sys::set_nonblocking(attended.input());
  const std::string line(4096, 'x');
  while (sys::write_some(attended.input(), line) != 0U) {
  }
  CHECK(attended.busy_ms(attended.output()) < 60);
  attended.signal(SIGKILL);
}

TEST_CASE("the end of stdin is not the end of the process, and costs nothing", "[foreground]") {
  Attended attended({.script = catching("10")});
  attended.until("ready");
  attended.input().reset();
  CHECK(attended.busy_ms(attended.output()) < 60);
  attended.signal(SIGTERM);
  CHECK(attended.end() == 0);
}

TEST_CASE("a process outlives the reader of its output", "[foreground]") {
  Attended attended({.script = "seq 1 100000; exit 7"});
  attended.output().reset();
  CHECK(attended.end() == 7);
}

TEST_CASE("output that nobody takes holds tare until a signal, then no longer", "[foreground]") {
  Attended attended({.script = "echo up; read line; head -c 10000 /dev/zero | tr '\\0' x; exit 5"});
  attended.until("up\n");
  // More than the pipe holds then, less than what a terminal does (8 KiB and a line of 4 KiB).
  REQUIRE(fcntl(attended.output().number(), F_SETPIPE_SZ, 4096) == 4096);
  sys::write_all(attended.input(), "\n");
  attended.await_payload();
  CHECK(attended.busy_ms(attended.input()) < 60);
  CHECK_FALSE(attended.has_ended());
  attended.signal(SIGTERM);
  CHECK(attended.end() == 5);
}

TEST_CASE("what keeps the terminal open after the process has ended is not waited for",
          "[foreground]") {
  Attended attended({.script = "setsid sh -c 'echo $$; exec sleep 60' & read line; exit 4"});
  const int holder = std::stoi(attended.until("\n"));
  sys::write_all(attended.input(), "\n");
  CHECK(attended.end() == 4);
  kill(holder, SIGKILL);
}

TEST_CASE("a terminal that all have closed may be opened again", "[foreground]") {
  Attended attended({.script = "tty=$(tty); echo first; exec 0<&- 1>&- 2>&-; kill -STOP $$; "
                               "echo second > $tty"});
  attended.until("first\n");
  CHECK(attended.busy_ms(attended.input()) < 60);
  attended.signal(SIGCONT);
  CHECK(read_rest(attended.output()) == "second\n");
  CHECK(attended.end() == 0);
}

bool is_raw(const Terminal& screen) {
  struct termios mode {};
  tcgetattr(screen.slave.number(), &mode);
  return (mode.c_lflag & (ICANON | ECHO | ISIG)) == 0 && (mode.c_oflag & OPOST) != 0;
}

TEST_CASE("the terminal that tare is called from is raw meanwhile and then as before",
          "[foreground]") {
  const Terminal screen;
  const std::string end = GENERATE("exit 6", "kill -KILL $$");
  Attended attended({.script = "echo ready; read line; " + end}, &screen);
  CHECK(read_until(screen.master, "ready\r\n") == "ready\r\n");
  CHECK(is_raw(screen));
  sys::write_all(screen.master, "\r");
  CHECK(attended.end() == (end == "exit 6" ? 6 : 137));
  CHECK_FALSE(is_raw(screen));
}

TEST_CASE("keys are the process's, not tare's", "[foreground]") {
  const Terminal screen;
  Attended attended({.script = "trap 'echo interrupted; exit 9' INT; echo ready; read line"},
                    &screen);
  read_until(screen.master, "ready");
  sys::write_all(screen.master, "\x03");
  CHECK_THAT(read_until(screen.master, "interrupted"), Catch::Contains("interrupted"));
  CHECK(attended.end() == 9);
}

TEST_CASE("the size of the caller's terminal is taken over when it changes", "[foreground]") {
  const Terminal screen;
  Attended attended({.script = "trap 'stty size' WINCH; echo ready; while :; do read line; done"},
                    &screen);
  read_until(screen.master, "ready");
  // The test's process is no session of this terminal's, so nobody but us tells of the change.
  sys::set_window_size(screen.master, {.rows = 31, .columns = 92});
  attended.signal(SIGWINCH);
  CHECK_THAT(read_until(screen.master, "31 92"),
             Catch::EndsWith("31 92\r\n") || Catch::EndsWith("31 92"));
}

TEST_CASE("raw mode is set again when tare goes on after a stop", "[foreground]") {
  const Terminal screen;
  struct termios cooked {};
  tcgetattr(screen.slave.number(), &cooked);
  Attended attended({.script = "trap 'echo again' CONT; echo ready; while :; do read line; done"},
                    &screen);
  read_until(screen.master, "ready");
  tcsetattr(screen.slave.number(), TCSANOW, &cooked);
  attended.signal(SIGCONT);
  read_until(screen.master, "again");
  CHECK(is_raw(screen));
}

}  // namespace
}  // namespace tare::stages
