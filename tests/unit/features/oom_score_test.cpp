#include "features/oom_score.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace tare::oom_score {
namespace {

Spec read_text(const std::string& process) {
  const spec::Document document("config.json", process);
  return read(document.top());
}

std::string score_of(const std::string& pid) {
  return sys::read_file(sys::FdRef::cwd(), "/proc/" + pid + "/oom_score_adj");
}

const Host kRootless{.euid = 1000, .egid = 1000, .rootless = true};

TEST_CASE("a score is planned as it is written, and may only fail rootless", "[oom_score]") {
  CHECK(plan(read_text(R"({"oomScoreAdj": -1000})"), {}) == Plan{.adjustment = -1000});
  CHECK(plan(read_text(R"({"oomScoreAdj": 1000})"), kRootless) ==
        Plan{.adjustment = 1000, .may_fail = true});
  CHECK(plan(read_text(R"({"oomScoreAdj": 0})"), {}) == Plan{.adjustment = 0});
  CHECK(plan(read_text("{}"), kRootless) == Plan{});
}

TEST_CASE("a score out of the kernel's range is refused", "[oom_score]") {
  for (const std::string score : {"-1001", "1001", "\"5\"", "1.5"}) {
    try {
      read_text(R"({"oomScoreAdj": )" + score + "}");
      FAIL("taken: " << score);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::spec);
      CHECK(error.field() == "/oomScoreAdj");
    }
  }
}

TEST_CASE("the score is written for the process that is meant", "[oom_score]") {
  const sys::Child child = sys::spawn({}, [] {
    for (;;) ::pause();
    return 0;
  });
  const std::string own = score_of("self");
  apply_in_parent({.adjustment = 987}, child.pid);
  CHECK(score_of(std::to_string(child.pid)) == "987\n");
  CHECK(score_of("self") == own);
  apply_in_parent({}, child.pid);
  CHECK(score_of(std::to_string(child.pid)) == "987\n");
  sys::send_signal(child.pidfd, SIGKILL);
  sys::wait_for(child.pidfd);
}

// What comes of lowering the score of oneself without CAP_SYS_RESOURCE: 0, or the errno.
int lower_without_capability(bool may_fail) {
  const sys::Child child = sys::spawn({}, [may_fail] {
    apply_in_parent({.adjustment = 900}, ::getpid());
    sys::set_capabilities({});
    try {
      apply_in_parent({.adjustment = -900, .may_fail = may_fail}, ::getpid());
    } catch (const Error& error) {
      return error.field() == "/process/oomScoreAdj" ? error.errno_value() : 250;
    }
    return 0;
  });
  return sys::wait_for(child.pidfd).code;
}

TEST_CASE("a refusal to lower the score is an error, but not where it may fail", "[oom_score]") {
  CHECK(lower_without_capability(false) == EACCES);
  CHECK(lower_without_capability(true) == 0);
}

TEST_CASE("a process that is gone is an error even where the score may fail", "[oom_score]") {
  const sys::Child child = sys::spawn({}, [] { return 0; });
  sys::wait_for(child.pidfd);
  CHECK_THROWS_AS(apply_in_parent({.adjustment = 1, .may_fail = true}, child.pid), Error);
}

TEST_CASE("a score is explained where there is one", "[oom_score]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.adjustment = 5}, out);
  explain({.adjustment = -5, .may_fail = true}, out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text == "set oom_score_adj to 5");
  CHECK(out.effects()[1].text ==
        "set oom_score_adj to -5, ignoring a refusal: the caller is rootless");
}

}  // namespace
}  // namespace tare::oom_score
