#include "features/io_priority.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/credentials.hpp"
#include "sys/process.hpp"

namespace tare::io_priority {
namespace {

Spec read_text(const std::string& priority) {
  const spec::Document document("config.json", R"({"ioPriority": )" + priority + "}");
  return read(document.top());
}

// The kernel's form of it: the class above thirteen bits of level.
long value_of(pid_t pid) {
  return ::syscall(SYS_ioprio_get, 1, pid);
}

const Host kRootless{.euid = 1000, .egid = 1000, .rootless = true};

TEST_CASE("class and level are read and planned for who may set them", "[io_priority]") {
  CHECK(plan(read_text(R"({"class": "IOPRIO_CLASS_RT", "priority": 0})"), {}) ==
        Plan{.priority = Priority{1, 0}, .from_parent = true});
  CHECK(plan(read_text(R"({"class": "IOPRIO_CLASS_BE", "priority": 7})"), kRootless) ==
        Plan{.priority = Priority{2, 7}});
  CHECK(plan(read_text(R"({"class": "IOPRIO_CLASS_IDLE"})"), {}) ==
        Plan{.priority = Priority{3, 0}, .from_parent = true});
  CHECK(plan(read_text("null"), kRootless) == Plan{});
}

TEST_CASE("an unknown class and a level out of range are refused", "[io_priority]") {
  const auto [text, words] = GENERATE(table<std::string, std::string>({
      {R"({"class": "IOPRIO_CLASS_NONE", "priority": 0})",
       "invalid ioPriority.Class: \"IOPRIO_CLASS_NONE\""},
      {R"({"class": "", "priority": 0})", "invalid ioPriority.Class: \"\""},
      {R"({"class": "IOPRIO_CLASS_BE", "priority": 8})", "invalid ioPriority.Priority: 8"},
      {R"({"class": "IOPRIO_CLASS_BE", "priority": -1})", "invalid ioPriority.Priority: -1"},
      {R"({"class": "IOPRIO_CLASS_BE", "priority": "1"})", "expected"},
      {R"({"class": 2, "priority": 1})", "expected"},
      {R"({"priority": 1})", "class"},
      {R"(["IOPRIO_CLASS_BE"])", "expected"},
  }));
  CAPTURE(text);
  try {
    read_text(text);
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    CHECK_THAT(error.message(), Catch::Contains(words));
    CHECK_THAT(error.field(), Catch::StartsWith("/ioPriority"));
  }
}

TEST_CASE("the priority is set for the process that is meant", "[io_priority]") {
  const sys::Child child = sys::spawn({}, [] {
    for (;;) ::pause();
    return 0;
  });
  const long before = value_of(child.pid);
  apply_in_parent({.priority = Priority{2, 6}}, child.pid);
  CHECK(value_of(child.pid) == before);
  apply_in_parent({.priority = Priority{2, 6}, .from_parent = true}, child.pid);
  CHECK(value_of(child.pid) == (2 << 13 | 6));
  sys::send_signal(child.pidfd, SIGKILL);
  sys::wait_for(child.pidfd);
}

TEST_CASE("a refusal names the field and says what it takes", "[io_priority]") {
  const sys::Child child = sys::spawn({}, [] {
    sys::set_capabilities({});
    try {
      apply_in_process({.priority = Priority{1, 0}});
    } catch (const Error& error) {
      const bool told = error.hint().find("CAP_SYS_NICE") != std::string::npos;
      return error.field() == "/process/ioPriority" && told ? error.errno_value() : 250;
    }
    return 0;
  });
  CHECK(sys::wait_for(child.pidfd).code == EPERM);
}

TEST_CASE("the priority is explained where there is one", "[io_priority]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.priority = Priority{2, 6}, .from_parent = true}, out);
  REQUIRE(out.effects().size() == 1);
  CHECK(out.effects()[0].text == "set IOPRIO_CLASS_BE, level 6");
  CHECK(out.effects()[0].field == "/process/ioPriority");
}

}  // namespace
}  // namespace tare::io_priority
