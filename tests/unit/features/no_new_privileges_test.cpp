#include "features/no_new_privileges.hpp"

#include <sys/prctl.h>

#include <catch2/catch.hpp>

#include "sys/process.hpp"

namespace tare::no_new_privileges {
namespace {

Plan read_text(const std::string& process) {
  const spec::Document document("config.json", process);
  return read(document.top());
}

int state_after(const Plan& plan) {
  const sys::Child child = sys::spawn({}, [&] {
    apply(plan);
    return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  });
  return sys::wait_for(child.pidfd).code;
}

TEST_CASE("the field is the plan, and absent is off", "[no_new_privileges]") {
  CHECK(read_text(R"({"noNewPrivileges": true})") == Plan{.enabled = true});
  CHECK(read_text(R"({"noNewPrivileges": false})") == Plan{});
  CHECK(read_text("{}") == Plan{});
  CHECK_THROWS_AS(read_text(R"({"noNewPrivileges": "true"})"), Error);
}

TEST_CASE("the kernel is told only where it is asked for", "[no_new_privileges]") {
  CHECK(state_after({.enabled = true}) == 1);
  CHECK(state_after({.enabled = false}) == ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

TEST_CASE("it is explained only where it is on", "[no_new_privileges]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.enabled = true}, out);
  REQUIRE(out.effects().size() == 1);
  CHECK(out.effects()[0].field == "/process/noNewPrivileges");
}

}  // namespace
}  // namespace tare::no_new_privileges
