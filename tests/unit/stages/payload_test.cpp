#include "stages/payload.hpp"

#include <fcntl.h>
#include <linux/capability.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "../../scratch.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

TEST_CASE("a failure before the gate goes to the parent, whole", "[payload]") {
  auto [near, far] = sys::socket_pair();
  ParentEnd parent(std::move(near));
  const PayloadTools tools{.channel = InitEnd(std::move(far))};
  CHECK(report_failure(tools, Error::from_errno(ENOENT, "exec: \"x\"", "hint")) == 1);
  CHECK_THROWS_WITH(parent.receive(), "exec: \"x\": no such file or directory");
}

TEST_CASE("a failure after the gate goes to whoever opened it, and is a shell's exit status",
          "[payload]") {
  const auto [number, status] = GENERATE(table<int, int>({
      {ENOENT, 127},
      {EACCES, 126},
      {ENOEXEC, 126},
      {0, 126},
  }));
  const test::Scratch scratch;
  const sys::Child init = sys::spawn({}, [&, number = number] {
    const PayloadTools tools{.channel = InitEnd(sys::Fd()), .gate = start_gate::make(scratch.fd())};
    start_gate::await(tools.gate);
    const Error error = number == 0 ? Error(ErrorKind::internal, "no errno")
                                    : Error::from_errno(number, "exec: \"x\"");
    return report_failure(tools, error);
  });
  while (!start_gate::is_closed(scratch.fd()) && !sys::await_end(init.pidfd, 1)) continue;
  CHECK_THROWS_WITH(start_gate::open_and_await(scratch.fd()),
                    Catch::StartsWith(number == 0 ? "no errno" : "exec: \"x\": "));
  CHECK(sys::wait_for(init.pidfd).code == status);
}

TEST_CASE("a failure of which nobody can be told is an exit status", "[payload]") {
  const PayloadTools tools{.channel = InitEnd(sys::Fd())};
  CHECK(report_failure(tools, Error::from_errno(EACCES, "exec")) == 126);
}

TEST_CASE("a filter needs a capability only where privileges may still be gained", "[payload]") {
  constexpr capabilities::Set kAdmin = capabilities::Set{1} << CAP_SYS_ADMIN;
  CHECK(needed_by_payload({}) == 0);
  CHECK(needed_by_payload({.has_seccomp = true}) == kAdmin);
  CHECK(needed_by_payload({.no_new_privileges = {.enabled = true}, .has_seccomp = true}) == 0);
}

}  // namespace
}  // namespace tare::stages
