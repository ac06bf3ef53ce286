#include "features/rlimits.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "sys/credentials.hpp"
#include "sys/process.hpp"

namespace tare::rlimits {
namespace {

Spec read_text(const std::string& rlimits) {
  const spec::Document document("config.json", R"({"rlimits": )" + rlimits + "}");
  return read(document.top());
}

Error error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing was wrong");
}

// A child that waits to be killed, for limits to be set on.
class Sleeper {
 public:
  Sleeper()
      : child_(sys::spawn({}, [] {
          for (;;) ::pause();
          return 0;
        })) {}
  ~Sleeper() {
    sys::send_signal(child_.pidfd, SIGKILL);
    sys::wait_for(child_.pidfd);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  pid_t pid() const noexcept { return child_.pid; }

 private:
  sys::Child child_;
};

TEST_CASE("limits are planned as they are written", "[rlimits]") {
  const Spec spec = read_text(R"([
    {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096},
    {"type": "RLIMIT_CORE", "soft": 0, "hard": 18446744073709551615}])");
  const Plan expected{
      .limits =
          {{.resource = RLIMIT_NOFILE, .soft = 1024, .hard = 4096, .pointer = "/rlimits/0"},
           {.resource = RLIMIT_CORE, .soft = 0, .hard = RLIM64_INFINITY, .pointer = "/rlimits/1"}},
      .from_parent = true};
  CHECK(plan(spec, true) == expected);
  CHECK_FALSE(plan(spec, false).from_parent);
  CHECK(plan(read_text("null"), false) == Plan{});
}

TEST_CASE("all sixteen names of getrlimit(2) are known", "[rlimits]") {
  const std::pair<const char*, int> all[] = {
      {"AS", RLIMIT_AS},           {"CORE", RLIMIT_CORE},         {"CPU", RLIMIT_CPU},
      {"DATA", RLIMIT_DATA},       {"FSIZE", RLIMIT_FSIZE},       {"LOCKS", RLIMIT_LOCKS},
      {"MEMLOCK", RLIMIT_MEMLOCK}, {"MSGQUEUE", RLIMIT_MSGQUEUE}, {"NICE", RLIMIT_NICE},
      {"NOFILE", RLIMIT_NOFILE},   {"NPROC", RLIMIT_NPROC},       {"RSS", RLIMIT_RSS},
      {"RTPRIO", RLIMIT_RTPRIO},   {"RTTIME", RLIMIT_RTTIME},     {"SIGPENDING", RLIMIT_SIGPENDING},
      {"STACK", RLIMIT_STACK}};
  for (const auto& [name, resource] : all) {
    CAPTURE(name);
    const Spec spec =
        read_text(R"([{"type": "RLIMIT_)" + std::string(name) + R"(", "soft": 1, "hard": 1}])");
    CHECK(spec.limits.at(0).resource == resource);
  }
}

TEST_CASE("a wrong limit is refused where it stands", "[rlimits]") {
  const std::pair<const char*, const char*> cases[] = {
      {R"([{"type": "RLIMIT_NONE", "soft": 1, "hard": 1}])",
       "/rlimits/0/type: unknown rlimit \"RLIMIT_NONE\""},
      {R"([{"type": "NOFILE", "soft": 1, "hard": 1}])",
       "/rlimits/0/type: unknown rlimit \"NOFILE\""},
      {R"([{"type": "RLIMIT_CPU", "hard": 1}])", "/rlimits/0/soft: required, but missing"},
      {R"([{"type": "RLIMIT_CPU", "soft": 1}])", "/rlimits/0/hard: required, but missing"},
      {R"([{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}])",
       "/rlimits/0: the soft limit 2 of RLIMIT_CPU is above the hard limit 1"},
      {R"([{"type": "RLIMIT_CPU", "soft": 18446744073709551615, "hard": 1}])",
       "/rlimits/0: the soft limit unlimited of RLIMIT_CPU is above the hard limit 1"},
      {R"([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_AS", "soft": 1, "hard": 1},
           {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}])",
       "/rlimits/2: duplicate rlimit RLIMIT_CPU"}};
  for (const auto& [text, message] : cases) {
    const Error error = error_of([&] { read_text(text); });
    CHECK(error.kind() == ErrorKind::spec);
    CHECK(error.message() == "config.json " + std::string(message));
  }
  CHECK(error_of([] { read_text(R"([{"type": "RLIMIT_CPU", "soft": -1, "hard": 1}])"); }).field() ==
        "/rlimits/0/soft");
}

TEST_CASE("limits are set on another process and on nobody else", "[rlimits]") {
  const Sleeper sleeper;
  const sys::ResourceLimit own = sys::resource_limit(0, RLIMIT_NOFILE);
  apply({.limits = {{.resource = RLIMIT_NOFILE, .soft = 11, .hard = 12},
                    {.resource = RLIMIT_CORE, .soft = 0, .hard = 0}}},
        sleeper.pid());
  CHECK(sys::resource_limit(sleeper.pid(), RLIMIT_NOFILE) ==
        sys::ResourceLimit{.soft = 11, .hard = 12});
  CHECK(sys::resource_limit(sleeper.pid(), RLIMIT_CORE) == sys::ResourceLimit{});
  CHECK(sys::resource_limit(0, RLIMIT_NOFILE) == own);
}

TEST_CASE("raising a hard limit without the capability says what it is and what it would take",
          "[rlimits]") {
  const sys::Child child = sys::spawn({}, [] {
    sys::set_resource_limit(0, RLIMIT_NPROC, {.soft = 50, .hard = 60});
    sys::set_capabilities({});
    const Error error = error_of([] {
      apply({.limits = {{.resource = RLIMIT_NPROC,
                         .soft = 70,
                         .hard = RLIM64_INFINITY,
                         .pointer = "/process/rlimits/4"}}},
            0);
    });
    const bool is_right =
        error.kind() == ErrorKind::system && error.field() == "/process/rlimits/4" &&
        error.message().starts_with("set RLIMIT_NPROC: prlimit(0, 6, soft 70, hard unlimited): ") &&
        error.hint() ==
            "raising the hard limit of RLIMIT_NPROC from 60 to unlimited needs CAP_SYS_RESOURCE";
    return is_right ? 0 : 1;
  });
  CHECK(sys::wait_for(child.pidfd).code == 0);
}

TEST_CASE("a process that is gone is an error, not a hint", "[rlimits]") {
  const sys::Child child = sys::spawn({}, [] { return 0; });
  sys::wait_for(child.pidfd);
  const Error error = error_of(
      [&] { apply({.limits = {{.resource = RLIMIT_CORE, .soft = 0, .hard = 0}}}, child.pid); });
  CHECK(error.errno_value() == ESRCH);
  CHECK(error.message().find("soft 0, hard 0") != std::string::npos);
  CHECK(error.hint().empty());
}

TEST_CASE("each limit is explained, with who sets it where that matters", "[rlimits]") {
  Explain out;
  explain({.limits = {{.resource = RLIMIT_STACK,
                       .soft = 8,
                       .hard = RLIM64_INFINITY,
                       .pointer = "/process/rlimits/0"}},
           .from_parent = true},
          out);
  REQUIRE(out.effects().size() == 1);
  CHECK(out.effects()[0].text ==
        "set RLIMIT_STACK to 8 (soft) and unlimited (hard) from outside the user namespace");
  CHECK(out.effects()[0].field == "/process/rlimits/0");
}

}  // namespace
}  // namespace tare::rlimits
