#include "features/time_offsets.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/file.hpp"
#include "sys/process.hpp"

namespace tare::time_offsets {
namespace {

Spec read_text(const std::string& offsets) {
  const spec::Document document("config.json", R"({"timeOffsets": )" + offsets + "}");
  return read(document.top());
}

const namespaces::Plan kNew{.create = CLONE_NEWTIME | CLONE_NEWPID};
const namespaces::Plan kNone{.create = CLONE_NEWPID};
const namespaces::Plan kJoined{.join = {{.type = namespaces::Type::time, .path = "/n/time"}}};

TEST_CASE("both clocks are read and planned for a new time namespace", "[time_offsets]") {
  const Spec spec = read_text(R"({"monotonic": {"secs": -5, "nanosecs": 999999999},
                                  "boottime": {"secs": 9223372036854775807}})");
  CHECK(plan(spec, kNew) ==
        Plan{.offsets = {{.clock = "boottime", .seconds = 9223372036854775807},
                         {.clock = "monotonic", .seconds = -5, .nanoseconds = 999999999}}});
  CHECK(plan(read_text(R"({"monotonic": {}})"), kNew) == Plan{.offsets = {{.clock = "monotonic"}}});
}

TEST_CASE("no offsets need no namespace", "[time_offsets]") {
  CHECK(plan(read_text("null"), kNone) == Plan{});
  CHECK(plan(read_text("{}"), kJoined) == Plan{});
}

TEST_CASE("values out of range and unknown clocks are refused", "[time_offsets]") {
  const auto [text, field] = GENERATE(table<std::string, std::string>({
      {R"({"realtime": {"secs": 1}})", ""},
      {R"({"": {"secs": 1}})", ""},
      {R"({"monotonic": {"nanosecs": 1000000000}})", "/monotonic/nanosecs"},
      {R"({"monotonic": {"nanosecs": -1}})", "/monotonic/nanosecs"},
      {R"({"boottime": {"secs": 9223372036854775808}})", "/boottime/secs"},
      {R"({"boottime": {"secs": 1.5}})", "/boottime/secs"},
      {R"({"boottime": 1})", "/boottime"},
      {R"([1])", ""},
  }));
  CAPTURE(text);
  try {
    read_text(text);
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    CHECK(error.field() == "/timeOffsets" + field);
  }
}

TEST_CASE("offsets without a new time namespace are refused in runc's words", "[time_offsets]") {
  const Spec spec = read_text(R"({"monotonic": {"secs": 1}})");
  const auto message = [&spec](const namespaces::Plan& namespaces) -> std::string {
    try {
      plan(spec, namespaces);
    } catch (const Error& error) {
      CHECK(error.field() == "/linux/timeOffsets");
      return error.message();
    }
    return "";
  };
  CHECK(message(kNone) ==
        "time namespace offsets specified, but time namespace isn't enabled in the config");
  CHECK(
      message(kJoined) ==
      "time namespace enabled, but both namespace path and time offsets specified -- you may only "
      "provide one");
}

TEST_CASE("only with offsets is the time namespace left out of the birth", "[time_offsets]") {
  CHECK(made_at_birth({}, kNew) == kNew.create);
  CHECK(made_at_birth({.offsets = {{.clock = "monotonic"}}}, kNew) == CLONE_NEWPID);
}

// The whole seconds by which the child's clock is ahead of ours once the plan is applied, or 200
// plus the errno.
int seconds_ahead(const Plan& plan) {
  struct timespec before {};
  ::clock_gettime(CLOCK_BOOTTIME, &before);
  const sys::Child child = sys::spawn({}, [&] {
    try {
      apply_in_init(plan, open_in_parent(plan));
    } catch (const Error& error) {
      const bool told = error.field() == "/linux/timeOffsets" && !error.hint().empty();
      return told ? 200 + error.errno_value() : 199;
    }
    struct timespec now {};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<int>(now.tv_sec - before.tv_sec);
  });
  return sys::wait_for(child.pidfd).code;
}

TEST_CASE("the process itself is in the namespace that it has made and set", "[time_offsets]") {
  if (::access("/proc/self/timens_offsets", F_OK) < 0) {
    WARN("skipped: no time namespaces");
    return;
  }
  if (::geteuid() != 0) {
    WARN("skipped: not root");
    return;
  }
  const int ahead = seconds_ahead({.offsets = {{.clock = "boottime", .seconds = 100}}});
  CHECK((ahead == 100 || ahead == 101));
  CHECK(seconds_ahead({}) <= 1);
  CHECK(seconds_ahead({.offsets = {{.clock = "boottime", .seconds = -9'000'000'000}}}) ==
        200 + ERANGE);
}

TEST_CASE("the offsets are explained, each with its field", "[time_offsets]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.offsets = {{.clock = "boottime", .seconds = -3, .nanoseconds = 7}}}, out);
  REQUIRE(out.effects().size() == 1);
  CHECK(out.effects()[0].text == "the clock boottime is -3 s and 7 ns ahead of the host's");
  CHECK(out.effects()[0].field == "/linux/timeOffsets/boottime");
}

}  // namespace
}  // namespace tare::time_offsets
