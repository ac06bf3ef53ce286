#include "features/scheduler.hpp"

#include <linux/sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/credentials.hpp"
#include "sys/process.hpp"

namespace tare::scheduler {
namespace {

Spec read_text(const std::string& scheduler) {
  const spec::Document document("config.json", R"({"scheduler": )" + scheduler + "}");
  return read(document.top());
}

Error fault_of(const std::string& scheduler) {
  try {
    read_text(scheduler);
  } catch (const Error& error) {
    return error;
  }
  return {ErrorKind::internal, "nothing was wrong"};
}

const Host kRootless{.euid = 1000, .egid = 1000, .rootless = true};

TEST_CASE("every policy is read with what belongs to it", "[scheduler]") {
  CHECK(read_text(R"({"policy": "SCHED_OTHER", "nice": -20})").scheduling ==
        sys::Scheduling{.policy = SCHED_NORMAL, .nice = -20});
  CHECK(read_text(R"({"policy": "SCHED_BATCH", "nice": 19})").scheduling ==
        sys::Scheduling{.policy = SCHED_BATCH, .nice = 19});
  CHECK(read_text(R"({"policy": "SCHED_IDLE"})").scheduling ==
        sys::Scheduling{.policy = SCHED_IDLE});
  CHECK(read_text(R"({"policy": "SCHED_FIFO", "priority": 1})").scheduling ==
        sys::Scheduling{.policy = SCHED_FIFO, .priority = 1});
  CHECK(read_text(R"({"policy": "SCHED_RR", "priority": 99})").scheduling ==
        sys::Scheduling{.policy = SCHED_RR, .priority = 99});
  // runc's own test has a nice value here, which the kernel does not use.
  CHECK(read_text(R"({"policy": "SCHED_DEADLINE", "nice": 19, "runtime": 1024, "deadline": 1024})")
            .scheduling ==
        sys::Scheduling{
            .policy = SCHED_DEADLINE, .nice = 19, .runtime_ns = 1024, .deadline_ns = 1024});
}

TEST_CASE("all seven flags are read", "[scheduler]") {
  const Spec spec = read_text(R"({"policy": "SCHED_OTHER", "flags": [
      "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN",
      "SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN",
      "SCHED_FLAG_UTIL_CLAMP_MAX"]})");
  CHECK(spec.scheduling == sys::Scheduling{.policy = SCHED_NORMAL, .flags = 0x7f});
}

TEST_CASE("a scheduler that no kernel takes is refused before", "[scheduler]") {
  const auto [text, words] = GENERATE(table<std::string, std::string>({
      {"{}", "scheduler policy is required"},
      {R"({"policy": ""})", "scheduler policy is required"},
      {R"({"policy": "SCHED_EXT"})", "invalid scheduler policy: \"SCHED_EXT\""},
      {R"({"policy": "SCHED_OTHER", "nice": 20})", "invalid scheduler.nice: 20"},
      {R"({"policy": "SCHED_BATCH", "nice": -21})", "when scheduler.policy is SCHED_BATCH"},
      {R"({"policy": "SCHED_FIFO", "priority": 5, "nice": 100})", "invalid scheduler.nice: 100"},
      {R"({"policy": "SCHED_BATCH", "priority": 1})", "only be specified for SchedFIFO or SchedRR"},
      {R"({"policy": "SCHED_OTHER", "priority": -1})", "only be specified for SchedFIFO"},
      {R"({"policy": "SCHED_FIFO"})", "priority from 1 to 99, not 0"},
      {R"({"policy": "SCHED_RR", "priority": 100})", "priority from 1 to 99, not 100"},
      {R"({"policy": "SCHED_FIFO", "priority": -5})", "priority from 1 to 99"},
      {R"({"policy": "SCHED_RR", "priority": 1, "period": 1})", "only be specified for SchedDead"},
      {R"({"policy": "SCHED_OTHER", "runtime": 1})", "only be specified for SchedDeadline policy"},
      {R"({"policy": "SCHED_DEADLINE"})", "found 0, 0 and 0"},
      {R"({"policy": "SCHED_DEADLINE", "runtime": 1023, "deadline": 5000})", "1024 <= runtime"},
      {R"({"policy": "SCHED_DEADLINE", "runtime": 6000, "deadline": 5000})", "found 6000, 5000"},
      {R"({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 5000, "period": 4999})",
       "found 2000, 5000 and 4999"},
      {R"({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 9223372036854775808})",
       "period < 2^63"},
      {R"({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_ALL"]})", "SCHED_FLAG_ALL"},
      {R"({"policy": "SCHED_OTHER", "flags": "SCHED_FLAG_RECLAIM"})", "expected"},
      {R"({"policy": 0})", "expected"},
      {R"({"policy": "SCHED_OTHER", "nice": 4294967296})", "4294967296"},
      {R"({"policy": "SCHED_DEADLINE", "runtime": -1})", "-1"},
      {R"("SCHED_FIFO")", "expected"},
  }));
  CAPTURE(text);
  const Error fault = fault_of(text);
  CHECK(fault.kind() == ErrorKind::spec);
  CHECK_THAT(fault.message(), Catch::Contains(words));
  CHECK_THAT(fault.field(), Catch::StartsWith("/scheduler"));
}

TEST_CASE("SCHED_ISO is refused as no kernel has it", "[scheduler]") {
  CHECK(fault_of(R"({"policy": "SCHED_ISO"})").kind() == ErrorKind::unsupported);
}

TEST_CASE("who sets it is who may", "[scheduler]") {
  const Spec spec = read_text(R"({"policy": "SCHED_RR", "priority": 2})");
  const sys::Scheduling wanted{.policy = SCHED_RR, .priority = 2};
  CHECK(plan(spec, {}, {}) == Plan{.scheduling = wanted, .from_parent = true});
  CHECK(plan(spec, kRootless, {.cpus_limited = true, .forks_at_start = true}) ==
        Plan{.scheduling = wanted, .cpus_limited = true});
  CHECK(plan({}, {}, {.cpus_limited = true}) == Plan{});
}

TEST_CASE("a process that could not fork cannot have hooks to run", "[scheduler]") {
  const std::string deadline = R"({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 5000)";
  CHECK_THROWS_AS(plan(read_text(deadline + "}"), {}, {.forks_at_start = true}), Error);
  CHECK_NOTHROW(plan(read_text(deadline + "}"), {}, {}));
  CHECK_NOTHROW(plan(read_text(deadline + R"(, "flags": ["SCHED_FLAG_RESET_ON_FORK"]})"), {},
                     {.forks_at_start = true}));
}

TEST_CASE("it is set for the process that is meant, by the one who is to", "[scheduler]") {
  const sys::Child child = sys::spawn({}, [] {
    for (;;) ::pause();
    return 0;
  });
  const auto niceness = [&child] {
    return ::getpriority(PRIO_PROCESS, static_cast<id_t>(child.pid));
  };
  const sys::Scheduling wanted{.policy = SCHED_BATCH, .nice = 7};
  const int before = niceness();
  apply_in_parent({.scheduling = wanted}, child.pid);
  CHECK(niceness() == before);
  apply_in_parent({}, child.pid);
  CHECK(niceness() == before);
  apply_in_parent({.scheduling = wanted, .from_parent = true}, child.pid);
  CHECK(niceness() == 7);
  sys::send_signal(child.pidfd, SIGKILL);
  sys::wait_for(child.pidfd);
}

// What a refusal says to a process without CAP_SYS_NICE: 0 where it is not refused.
int refused_without_capability(const Plan& plan, std::string_view words) {
  const sys::Child child = sys::spawn({}, [&] {
    sys::set_resource_limit(0, RLIMIT_RTPRIO, {});
    sys::set_capabilities({});
    try {
      apply_in_process(plan);
    } catch (const Error& error) {
      const bool told = (error.message() + error.hint()).find(words) != std::string::npos;
      return error.field() == "/process/scheduler" && told ? error.errno_value() : 250;
    }
    return 0;
  });
  return sys::wait_for(child.pidfd).code;
}

TEST_CASE("a refusal says what it takes", "[scheduler]") {
  const sys::Scheduling deadline{
      .policy = SCHED_DEADLINE, .runtime_ns = 2'000'000, .deadline_ns = 20'000'000};
  CHECK(refused_without_capability(
            {.scheduling = sys::Scheduling{.policy = SCHED_RR, .priority = 1}}, "RLIMIT_RTPRIO") ==
        EPERM);
  CHECK(refused_without_capability({.scheduling = deadline, .cpus_limited = true},
                                   "process scheduler can't be used together with AllowedCPUs") ==
        EPERM);
  CHECK(refused_without_capability({.scheduling = deadline}, "every CPU") == EPERM);
  CHECK(refused_without_capability(
            {.scheduling = sys::Scheduling{.policy = SCHED_BATCH, .nice = 19}}, "") == 0);
}

TEST_CASE("it is explained with what counts for its policy", "[scheduler]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.scheduling = sys::Scheduling{.policy = SCHED_NORMAL, .nice = -3}, .from_parent = true},
          out);
  explain({.scheduling = sys::Scheduling{.policy = SCHED_FIFO, .flags = 1, .priority = 4}}, out);
  explain({.scheduling =
               sys::Scheduling{.policy = SCHED_DEADLINE, .runtime_ns = 2000, .deadline_ns = 5000},
           .from_parent = true},
          out);
  REQUIRE(out.effects().size() == 3);
  CHECK(out.effects()[0].text == "set SCHED_OTHER, nice -3");
  CHECK(
      out.effects()[1].text ==
      "set SCHED_FIFO, priority 4, SCHED_FLAG_RESET_ON_FORK, by the process itself: the caller is "
      "rootless");
  CHECK(out.effects()[2].text ==
        "set SCHED_DEADLINE, 2000 ns of CPU time by 5000 ns in every 5000 ns");
  CHECK(out.effects()[2].field == "/process/scheduler");
}

}  // namespace
}  // namespace tare::scheduler
