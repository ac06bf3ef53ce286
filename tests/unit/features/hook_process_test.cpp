#include "features/hook_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"
#include "sys/stream.hpp"

namespace tare::hooks {
namespace {

Hook shell(const std::string& script, std::optional<int> timeout_seconds = {}) {
  return {.path = "/bin/sh",
          .arguments = {"sh", "-c", script},
          .environment = {},
          .timeout_seconds = timeout_seconds};
}

// The error of a hook that fails; empty when it does not.
std::string failure_of(const Hook& hook, const std::string& state = "{}") {
  try {
    run_process(hook, state, "/");
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

// What a hook prints, which its error carries.
std::string output_of(const Hook& hook, const std::string& state = "{}") {
  const std::string message = failure_of(hook, state);
  const std::string start = "exit status 1, stdout: ";
  const std::size_t end = message.rfind(", stderr: ");
  if (!message.starts_with(start)) return message;
  return message.substr(start.size(), end - start.size());
}

// A pipe whose end tells that no process holds it any more.
struct Lifeline {
  sys::Pipe pipe = sys::make_pipe();
  std::string held() {
    sys::keep_across_exec(pipe.write_end);
    return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(pipe.write_end.number());
  }
  bool is_cut() {
    pipe.write_end.reset();
    std::array<char, 1> byte{};
    return sys::read_some(pipe.read_end, byte) == 0U;
  }
};

TEST_CASE("a hook that ends with 0 is no error, whatever it prints", "[hook_process]") {
  CHECK(failure_of(shell("echo out; echo err >&2")).empty());
}

TEST_CASE("a hook that fails is told with its status and its output", "[hook_process]") {
  CHECK(failure_of(shell("echo out; echo err >&2; exit 3")) ==
        "exit status 3, stdout: out, stderr: err");
  CHECK(failure_of(shell("kill -TERM $$")) == "signal: terminated, stdout: , stderr: ");
}

TEST_CASE("the error of a hook is one line", "[hook_process]") {
  CHECK(failure_of(shell(R"(printf 'a\nb\001\tc\n\n'; exit 2)")) ==
        "exit status 2, stdout: a\\nb\\x01\tc, stderr: ");
}

TEST_CASE("a hook reads the state from its stdin to the end", "[hook_process]") {
  CHECK(output_of(shell("cat; exit 1"), R"({"id": "x"})") == R"({"id": "x"})");
  const std::string large(1U << 20U, 's');
  CHECK(output_of(shell("wc -c; exit 1"), large) == std::to_string(large.size()));
}

TEST_CASE("a hook need not read its stdin, nor keep it", "[hook_process]") {
  const std::string large(1U << 20U, 's');
  CHECK(failure_of(shell("exit 0"), large).empty());
  CHECK(failure_of(shell("exec 0<&-; exec 1>&-; exec 2>&-; exit 0"), large).empty());
  CHECK(failure_of(shell("head -c 1 > /dev/null; exit 4"), large) ==
        "exit status 4, stdout: , stderr: ");
}

TEST_CASE("only the end of much output is kept", "[hook_process]") {
  const std::string output = output_of(shell("seq 1 100000; seq 1 100000 >&2; exit 1"));
  CHECK(output.size() > 4000);
  CHECK(output.size() < 6000);
  CHECK_THAT(output, Catch::EndsWith("99999\\n100000"));
}

TEST_CASE("what a hook has in its pipe when it ends is not lost", "[hook_process]") {
  CHECK_THAT(output_of(shell("head -c 60000 /dev/zero | tr '\\0' x; printf end; exit 1")),
             Catch::EndsWith("xxend"));
}

TEST_CASE("a hook is given its arguments, its environment and its directory as they are",
          "[hook_process]") {
  Hook hook = shell("echo \"$0 $1\"; echo $K$PWD; tr '\\0' ' ' < /proc/$$/environ; exit 1");
  hook.arguments = {"not-sh", "-c", hook.arguments[2], "zero", "one"};
  hook.environment = {"K=value"};
  try {
    run_process(hook, "{}", "/usr");
    FAIL("it succeeded");
  } catch (const Error& error) {
    CHECK_THAT(error.message(), Catch::Contains("zero one\\nvalue/usr\\nK=value "));
  }
}

TEST_CASE("a hook without env has an empty one", "[hook_process]") {
  setenv("TARE_TEST_LEAK", "1", 1);
  CHECK(output_of(shell("test -s /proc/$$/environ && echo leak; exit 1")).empty());
  unsetenv("TARE_TEST_LEAK");
}

TEST_CASE("a hook has three descriptors and no more", "[hook_process]") {
  const sys::Fd leak = sys::open_at(sys::FdRef::cwd(), "/", O_PATH);
  sys::keep_across_exec(leak);
  const sys::Fd kept(fcntl(leak.number(), F_DUPFD, 50));
  // The fourth is the listing's own.
  CHECK(output_of(shell("echo /proc/self/fd/*; exit 1")) ==
        "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3");
}

TEST_CASE("a hook starts with no signal blocked or ignored", "[hook_process]") {
  const sys::BlockedSignals blocked;
  const sys::IgnoredSigpipe ignored;
  CHECK(output_of(shell("grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '[:space:]'; exit 1")) ==
        "SigBlk:0000000000000000SigIgn:0000000000000000");
}

TEST_CASE("a hook leads a process group of its own", "[hook_process]") {
  CHECK(output_of(shell("test $(cut -d' ' -f5 /proc/$$/stat) = $$ && echo leads; exit 1")) ==
        "leads");
}

TEST_CASE("what cannot be executed is told in Go's words", "[hook_process]") {
  CHECK(failure_of({.path = "/no/such", .arguments = {"x"}}) ==
        "fork/exec /no/such: no such file or directory");
  CHECK(failure_of({.path = "/etc/passwd", .arguments = {"x"}}) ==
        "fork/exec /etc/passwd: permission denied");
  CHECK_THROWS_WITH(run_process(shell("exit 0"), "{}", "/no/such"),
                    "chdir /no/such: no such file or directory");
}

TEST_CASE(
    "a hook that runs past its time is killed with all that it has started, whatever it ignores",
    "[hook_process]") {
  Lifeline life;
  const std::string held = life.held();
  const std::string large(1U << 20U, 's');
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THAT(failure_of(shell("trap '' TERM INT HUP PIPE; echo said; exec 9>" + held +
                                  "; sleep 60 & sleep 60 | sleep 60",
                              1),
                        large),
             Catch::StartsWith("hook ran past specified timeout of 1.0s, stdout: said, stderr: "));
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(took >= std::chrono::seconds(1));
  CHECK(took < std::chrono::seconds(2));
  CHECK(life.is_cut());
}

TEST_CASE("what a hook leaves in its group ends with it", "[hook_process]") {
  Lifeline life;
  const std::string held = life.held();
  CHECK(failure_of(shell("exec 9>" + held + "; sleep 60 & exit 0")).empty());
  CHECK(life.is_cut());
}

// A hook that ends once a daemon of its making has left the group and holds the hook's stdout.
Hook with_daemon(const std::string& held, const std::string& program) {
  return shell("exec 8>&1 9>" + held + "; (setsid sh -c 'echo $$ >&9; echo; exec " + program +
               " >&8' &) | head -n 1");
}

void end_daemon(Lifeline& life) {
  std::array<char, 16> pid{};
  REQUIRE(sys::read_some(life.pipe.read_end, pid).value_or(0) > 1);
  kill(std::stoi(pid.data()), SIGKILL);
  CHECK(life.is_cut());
}

TEST_CASE("a daemon that keeps the output open is not waited for", "[hook_process]") {
  Lifeline life;
  CHECK(failure_of(with_daemon(life.held(), "sleep 60")).empty());
  end_daemon(life);
}

TEST_CASE("a daemon that never stops writing is not waited for", "[hook_process]") {
  Lifeline life;
  CHECK(failure_of(with_daemon(life.held(), "yes")).empty());
  end_daemon(life);
}

TEST_CASE("hooks run though the caller of tare ignores SIGCHLD", "[hook_process]") {
  signal(SIGCHLD, SIG_IGN);
  CHECK(failure_of(shell("exit 3")) == "exit status 3, stdout: , stderr: ");
}

}  // namespace
}  // namespace tare::hooks
