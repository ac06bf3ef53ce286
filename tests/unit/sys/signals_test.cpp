#include "sys/signals.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "sys/fifo.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

sigset_t current_mask() {
  sigset_t mask{};
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  return mask;
}

bool is_ignored(int number) {
  struct sigaction now {};
  sigaction(number, nullptr, &now);
  return now.sa_handler == SIG_IGN;
}

void ignore(int number) {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  sigaction(number, &action, nullptr);
}

TEST_CASE("a signal has the same number by each of its spellings", "[signals]") {
  const auto [text, number] = GENERATE(table<std::string, int>({
      {"KILL", SIGKILL},
      {"SIGKILL", SIGKILL},
      {"kill", SIGKILL},
      {"SigKill", SIGKILL},
      {"9", SIGKILL},
      {"15", SIGTERM},
      {"64", 64},
      {"0", 0},
      {"HUP", SIGHUP},
      {"SIGIOT", SIGABRT},
      {"CLD", SIGCHLD},
      {"POLL", SIGIO},
      {"SIGRTMIN", 34},
      {"RTMIN+3", 37},
      {"sigrtmin+30", 64},
      {"SIGRTMAX", 64},
      {"RTMAX-14", 50},
  }));
  CHECK(parse_signal(text) == number);
}

TEST_CASE("what is no signal is refused in runc's words", "[signals]") {
  const std::string text = GENERATE("", "SIG", "SIGSIGKILL", "65", "-1", "+9", "9 ", " 9", "9x",
                                    "KILLED", "NOSUCH", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+",
                                    "RTMAX-31", "99999999999999999999", "0x9");
  CHECK_THROWS_WITH(parse_signal(text), "unknown signal \"" + text + "\"");
}

TEST_CASE("the name of every signal of Linux leads back to its number", "[signals]") {
  for (int number = 1; number <= 64; ++number) CHECK(parse_signal(signal_name(number)) == number);
  CHECK(signal_name(SIGABRT) == "SIGABRT");
  CHECK(signal_name(37) == "SIGRTMIN+3");
  CHECK(signal_name(65) == "65");
}

TEST_CASE("the end of a process by a signal is told in Go's words", "[signals]") {
  CHECK(signal_text(SIGKILL) == "killed");
  CHECK(signal_text(SIGSEGV) == "segmentation fault");
  CHECK(signal_text(SIGABRT) == "aborted");
  CHECK(signal_text(SIGIO) == "I/O possible");
  CHECK(signal_text(40) == "signal 40");
}

TEST_CASE("blocked signals come through the descriptor and the mask is restored", "[signals]") {
  const sigset_t before = current_mask();
  {
    const BlockedSignals blocked;
    const Fd signals = blocked.open();
    CHECK_FALSE(receive_signal(signals));
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGTERM);
    CHECK(receive_signal(signals) == SIGUSR1);
    CHECK(receive_signal(signals) == SIGTERM);
    CHECK_FALSE(receive_signal(signals));
  }
  const sigset_t after = current_mask();
  for (int number = 1; number <= 64; ++number) {
    CHECK(sigismember(&before, number) == sigismember(&after, number));
  }
}

TEST_CASE("a program started after a reset finds nothing blocked and nothing ignored",
          "[signals]") {
  const BlockedSignals blocked;
  const Child child = spawn({}, [] {
    ignore(SIGPIPE);
    ignore(SIGINT);
    ignore(64);
    reset_dispositions();
    unblock_signals();
    const sigset_t mask = current_mask();
    for (int number = 1; number <= 64; ++number) {
      if (sigismember(&mask, number) == 1 || is_ignored(number)) return number;
    }
    return 0;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("SIGTERM ends even the init of a pid namespace that asks for it", "[signals]") {
  const Pipe ready = make_pipe();
  const Child child = spawn({.namespaces = CLONE_NEWUSER | CLONE_NEWPID}, [&] {
    end_at_termination();
    write_byte(ready.write_end);
    for (;;) ::pause();
    return 0;
  });
  read_byte(ready.read_end);
  CHECK(send_signal(child.pidfd, SIGTERM));
  CHECK(wait_for(child.pidfd).code == 128 + SIGTERM);
}

TEST_CASE("a child's end is kept although the caller of tare ignores SIGCHLD", "[signals]") {
  ignore(SIGCHLD);
  const BlockedSignals blocked;
  const Child child = spawn({}, [] { return 9; });
  CHECK(wait_for(child.pidfd).code == 9);
}

TEST_CASE("SIGPIPE is ignored only as long as it is asked for", "[signals]") {
  Pipe pipe = make_pipe();
  pipe.read_end.reset();
  {
    const IgnoredSigpipe ignored;
    CHECK_FALSE(write_some(pipe.write_end, "x"));
  }
  CHECK_FALSE(is_ignored(SIGPIPE));
}

TEST_CASE("a signal to a group reaches the children of its leader", "[signals]") {
  Pipe alive = make_pipe();
  Pipe ready = make_pipe();
  const Child leader = spawn({}, [&] {
    lead_process_group();
    // The grandchild holds `alive` open until it is killed.
    const Child member = spawn({}, [&] {
      write_some(ready.write_end, "!");
      return pause();
    });
    return wait_for(member.pidfd).signal;
  });
  alive.write_end.reset();
  std::array<char, 1> byte{};
  REQUIRE(read_some(ready.read_end, byte) == 1U);
  CHECK(signal_group(leader.pid, SIGKILL));
  CHECK(wait_for(leader.pidfd).signal == SIGKILL);
  CHECK(read_some(alive.read_end, byte) == 0U);
}

TEST_CASE("a process that leads no group has none to signal", "[signals]") {
  const Child child = spawn({}, [] { return pause(); });
  CHECK_FALSE(signal_group(child.pid, SIGKILL));
  CHECK_FALSE(has_ended(child.pidfd));
  send_signal(child.pidfd, SIGKILL);
  wait_for(child.pidfd);
}

}  // namespace
}  // namespace tare::sys
