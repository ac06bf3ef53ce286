#include "stages/payload.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "../scratch.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

// What came of a payload: what it printed, how it ended, and what it failed with before that.
struct Outcome {
  std::string output{};
  sys::ExitStatus status{};
  std::string fault{};
  std::string requests{};  ///< the kinds, one letter each
};

// A plan for a script; it keeps root's ids and no capabilities.
ProcessPlan plan_for(const std::string& script) {
  return {.environment = {.arguments = {"/bin/sh", "-c", script},
                          .variables = {"PATH=/usr/bin:/bin"},
                          .directory = "/"}};
}

struct Trial {
  ProcessPlan plan{};
  int preserve_fds = 0;
  std::function<void()> in_child = [] {};
  std::string filter{};
  bool parent_goes = false;  ///< before it says Proceed

  Outcome run() const {
    auto [near, far] = sys::socket_pair();
    sys::Pipe pipe = sys::make_pipe();
    const sys::Child child = sys::spawn({}, [&, far = far.number(), near = near.number()] {
      ::close(near);
      // Away from the low numbers, which are the payload's.
      PayloadTools tools{.channel = InitEnd(sys::Fd(::fcntl(far, F_DUPFD_CLOEXEC, 50))),
                         .preserve_fds = preserve_fds};
      ::close(far);
      sys::place(pipe.write_end, 1);
      in_child();
      try {
        become_payload(plan, tools);
      } catch (const Error& error) {
        return report_failure(tools, error);
      }
    });
    far.reset();
    pipe.write_end.reset();
    Outcome outcome;
    attend(ParentEnd(std::move(near)), child, outcome);
    outcome.output = sys::read_all(pipe.read_end);
    outcome.status = sys::wait_for(child.pidfd);
    return outcome;
  }

 private:
  void attend(ParentEnd channel, const sys::Child& child, Outcome& outcome) const {
    try {
      for (;;) {
        const Request request = channel.receive();
        if (request.kind == FromInit::closed) return;
        outcome.requests += static_cast<char>(request.kind);
        if (request.kind == FromInit::need_limits) {
          rlimits::apply(plan.rlimits, child.pid);
          channel.send(ToInit::limits_set);
        }
        if (request.kind == FromInit::need_filter) channel.send(ToInit::filter, filter);
        if (request.kind != FromInit::ready) continue;
        if (parent_goes) return;
        channel.send(ToInit::proceed);
      }
    } catch (const Error& error) {
      outcome.fault = error.message();
    }
  }
};

// A filter that refuses mkdir(2) with the errno of a disk that is full, which nothing else gives.
std::string filter_against_mkdir() {
  const spec::Document document("config.json", R"({"seccomp": {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}})");
  return seccomp::compile(seccomp::plan(seccomp::read(document.top(), {}), Host{})).encode();
}

TEST_CASE("a payload runs with the arguments, variables and directory of its plan", "[payload]") {
  if (test::skip_unless_root()) return;
  ProcessPlan plan = plan_for("echo \"$0 $1 $A\"; pwd; exit 7");
  plan.environment.arguments.insert(plan.environment.arguments.end(), {"zero", "one"});
  plan.environment.variables.push_back("A=b c");
  plan.environment.directory = "/usr";
  const Outcome outcome = Trial{.plan = plan}.run();
  CHECK(outcome.output == "zero one b c\n/usr\n");
  CHECK(outcome.status.code == 7);
  CHECK(outcome.fault.empty());
  CHECK(outcome.requests == "R");
}

TEST_CASE("nothing that was open is left to a payload but what is its own", "[payload]") {
  if (test::skip_unless_root()) return;
  const auto open_some = [] {
    // Without O_CLOEXEC, as a careless caller of the runtime leaves them.
    for (const int number : {3, 4, 5, 20, 900}) sys::place(sys::FdRef(2), number);
  };
  const std::string script =
      "for n in 3 4 5 20 50 900; do [ -e /proc/$$/fd/$n ] && printf '%s ' $n; done; echo";
  for (const auto& [preserved, open] :
       {std::pair{0, "\n"}, std::pair{1, "3 \n"}, std::pair{3, "3 4 5 \n"}}) {
    CHECK(Trial{.plan = plan_for(script), .preserve_fds = preserved, .in_child = open_some}
              .run()
              .output == open);
  }
}

TEST_CASE("a payload has its user, its groups and no capability that it was not given",
          "[payload]") {
  if (test::skip_unless_root()) return;
  ProcessPlan plan = plan_for("id -u; id -g; id -G; grep -E 'Cap|NoNew' /proc/self/status; umask");
  plan.credentials = {.uid = 1000, .gid = 1001, .additional_gids = {1002}, .umask = 027};
  plan.no_new_privileges.enabled = true;
  const Outcome outcome = Trial{.plan = plan}.run();
  CHECK(outcome.output ==
        "1000\n1001\n1001 1002\n"
        "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
        "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n0027\n");
}

TEST_CASE("no signal is blocked or ignored when a payload starts", "[payload]") {
  if (test::skip_unless_root()) return;
  const Outcome outcome = Trial{
      .plan = plan_for("grep -E 'Sig(Blk|Ign)' /proc/self/status"), .in_child = [] {
        sigset_t all{};
        ::sigfillset(&all);
        ::sigprocmask(SIG_BLOCK, &all, nullptr);
        ::signal(SIGPIPE, SIG_IGN);
        ::signal(SIGINT, SIG_IGN);
      }}.run();
  CHECK(outcome.output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_CASE("HOME is the user's where the plan has none", "[payload]") {
  if (test::skip_unless_root()) return;
  ProcessPlan plan = plan_for("echo $HOME");
  plan.environment.needs_home = true;
  CHECK(Trial{.plan = plan}.run().output == "/root\n");
  plan.credentials.uid = 54321;
  CHECK(Trial{.plan = plan}.run().output == "/\n");
}

TEST_CASE("a command that is not there is told to the parent before it says Proceed", "[payload]") {
  if (test::skip_unless_root()) return;
  ProcessPlan plan = plan_for("");
  plan.environment.arguments = {"no-such-command"};
  const Outcome outcome = Trial{.plan = plan}.run();
  CHECK(outcome.fault == "exec: \"no-such-command\": executable file not found in $PATH");
  CHECK(outcome.requests.empty());
  CHECK(outcome.status.code == 1);
}

TEST_CASE("a payload whose parent goes before Proceed never runs", "[payload]") {
  if (test::skip_unless_root()) return;
  const Outcome outcome = Trial{.plan = plan_for("echo ran"), .parent_goes = true}.run();
  CHECK(outcome.requests == "R");
  CHECK(outcome.output.empty());
  CHECK(outcome.status.code == 1);
}

TEST_CASE("limits come from the parent where the plan says so, and hold", "[payload]") {
  if (test::skip_unless_root()) return;
  const bool from_parent = GENERATE(false, true);
  ProcessPlan plan = plan_for("ulimit -n; ulimit -c");
  plan.rlimits = {.limits = {{.resource = RLIMIT_NOFILE, .soft = 64, .hard = 64},
                             {.resource = RLIMIT_CORE, .soft = 0, .hard = 0}},
                  .from_parent = from_parent};
  const Outcome outcome = Trial{.plan = plan}.run();
  CHECK(outcome.output == "64\n0\n");
  CHECK(outcome.requests == (from_parent ? "LR" : "R"));
}

TEST_CASE("a filter holds for the payload whether it may gain privileges or not", "[payload]") {
  if (test::skip_unless_root()) return;
  const test::Scratch scratch;
  for (const bool no_new_privileges : {false, true}) {
    ProcessPlan plan = plan_for("mkdir " + scratch.path("d") + " 2>&1; echo done");
    plan.has_seccomp = true;
    plan.no_new_privileges.enabled = no_new_privileges;
    const Outcome outcome = Trial{.plan = plan, .filter = filter_against_mkdir()}.run();
    CHECK_THAT(outcome.output, Catch::EndsWith("No space left on device\ndone\n"));
    CHECK(outcome.requests == "SR");
    CHECK_FALSE(scratch.has("d"));
  }
}

TEST_CASE("a filter that is damaged stops everything", "[payload]") {
  if (test::skip_unless_root()) return;
  ProcessPlan plan = plan_for("echo ran");
  plan.has_seccomp = true;
  const Outcome outcome = Trial{.plan = plan, .filter = "garbage"}.run();
  CHECK(outcome.fault == "a compiled seccomp filter is malformed");
  CHECK(outcome.output.empty());
}

// The payload behind a start gate: `script` is the file that is executed.
std::string start_through_gate(const std::string& script, std::string& output) {
  const test::Scratch scratch;
  const std::string path = scratch.write("payload", script, 0755);
  auto [near, far] = sys::socket_pair();
  sys::Pipe pipe = sys::make_pipe();
  const sys::Child child = sys::spawn({}, [&, far = far.number()] {
    sys::place(pipe.write_end, 1);
    ProcessPlan plan = plan_for("");
    plan.environment.arguments = {path};
    PayloadTools tools{.channel = InitEnd(sys::Fd(far)), .gate = start_gate::make(scratch.fd())};
    try {
      become_payload(plan, tools);
    } catch (const Error& error) {
      return report_failure(tools, error);
    }
  });
  far.reset();
  pipe.write_end.reset();
  ParentEnd channel(std::move(near));
  CHECK(channel.receive().kind == FromInit::ready);
  channel.send(ToInit::proceed);
  CHECK(channel.receive().kind == FromInit::closed);
  std::string answer;
  try {
    answer = start_gate::open_and_await(scratch.fd()) ? "started" : "nobody at the gate";
  } catch (const Error& error) {
    answer = error.message();
  }
  output = sys::read_all(pipe.read_end);
  return answer + " " + std::to_string(sys::wait_for(child.pidfd).code);
}

TEST_CASE("a payload waits at the gate until it is opened, and nothing is open after it",
          "[payload]") {
  if (test::skip_unless_root()) return;
  std::string output;
  CHECK(start_through_gate("#!/bin/sh\necho ran; exit 5\n", output) == "started 5");
  CHECK(output == "ran\n");
}

TEST_CASE("what execve fails with behind the gate is told to whoever opened it", "[payload]") {
  if (test::skip_unless_root()) return;
  std::string output;
  CHECK_THAT(start_through_gate("#!/no/such/interpreter\n", output),
             Catch::Contains("/no/such/interpreter") && Catch::EndsWith(" 127"));
  CHECK_THAT(start_through_gate("\x7f"
                                "ELF, but not really",
                                output),
             Catch::Contains("exec format error") && Catch::EndsWith(" 126"));
  CHECK(output.empty());
}

}  // namespace
}  // namespace tare::stages
