#include "features/cpu_affinity.hpp"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/process.hpp"

namespace tare::cpu_affinity {
namespace {

Plan read_text(const std::string& affinity) {
  const spec::Document document("config.json", R"({"execCPUAffinity": )" + affinity + "}");
  return read(document.top());
}

int cpus_of(pid_t pid) {
  cpu_set_t set;
  CPU_ZERO(&set);
  REQUIRE(::sched_getaffinity(pid, sizeof set, &set) == 0);
  return CPU_COUNT(&set);
}

// The first CPU that this process may run on.
unsigned first_cpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  unsigned cpu = 0;
  while (!CPU_ISSET(cpu, &set)) ++cpu;
  return cpu;
}

sys::NumberMask only(unsigned cpu) {
  sys::NumberMask mask(cpu / 64 + 1);
  mask[cpu / 64] = 1UL << (cpu % 64);
  return mask;
}

TEST_CASE("both lists are read, and empty ones are none", "[cpu_affinity]") {
  CHECK(read_text(R"({"initial": "7", "final": "0-3,7"})") ==
        Plan{.initial = {0x80}, .final = {0x8f}});
  CHECK(read_text(R"({"final": "2048"})").final.size() == 33);
  CHECK(read_text(R"({"initial": "", "final": ""})").is_default());
  CHECK(read_text("{}").is_default());
  CHECK(read_text("null").is_default());
  CHECK_FALSE(read_text(R"({"initial": "0"})").is_default());
}

TEST_CASE("what is no list of CPUs is refused", "[cpu_affinity]") {
  for (const std::string value : {"\"x\"", "3", "[0]", "\"3-1\"", "\"65536\"", "\",\""}) {
    for (const std::string key : {"initial", "final"}) {
      CAPTURE(value, key);
      try {
        read_text("{\"" + key + "\": " + value + "}");
        FAIL("taken");
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::spec);
        CHECK(error.field() == "/execCPUAffinity/" + key);
      }
    }
  }
}

TEST_CASE("a narrowed process gets every CPU back where nothing is asked for", "[cpu_affinity]") {
  if (cpus_of(0) < 2) {
    WARN("skipped: one CPU");
    return;
  }
  const int all = cpus_of(0);
  const sys::Child child = sys::spawn({}, [] {
    apply_before_birth({.initial = only(first_cpu())});
    const sys::Child heir = sys::spawn({}, [] {
      for (;;) ::pause();
      return 0;
    });
    const int inherited = cpus_of(heir.pid);
    apply_after_birth({.initial = only(first_cpu())}, heir.pid);
    const int kept = cpus_of(heir.pid);
    apply_after_birth({}, heir.pid);
    const int given_back = cpus_of(heir.pid);
    apply_after_birth({.final = only(first_cpu())}, heir.pid);
    const int final = cpus_of(heir.pid);
    sys::send_signal(heir.pidfd, SIGKILL);
    sys::wait_for(heir.pidfd);
    return inherited == 1 && kept == 1 && final == 1 ? given_back : 0;
  });
  CHECK(sys::wait_for(child.pidfd).code == all);
}

TEST_CASE("a CPU that is not there is an error that names the stage", "[cpu_affinity]") {
  try {
    apply_before_birth({.initial = only(60'000)});
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.errno_value() == EINVAL);
    CHECK(error.field() == "/process/execCPUAffinity/initial");
    CHECK_THAT(error.message(), Catch::StartsWith("set the initial CPU affinity 60000: "));
  }
}

TEST_CASE("giving CPUs back to a process that is gone is no error", "[cpu_affinity]") {
  const sys::Child child = sys::spawn({}, [] { return 0; });
  sys::wait_for(child.pidfd);
  CHECK_NOTHROW(reset_in_parent(child.pid));
  CHECK_THROWS_AS(apply_after_birth({.final = {1}}, child.pid), Error);
}

TEST_CASE("what exec will do is explained", "[cpu_affinity]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.initial = {0x80}, .final = {0x8f}}, out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text == "exec runs on CPUs 7 until the process is in the cgroup");
  CHECK(out.effects()[1].text == "processes of exec run on CPUs 0-3,7");
}

}  // namespace
}  // namespace tare::cpu_affinity
