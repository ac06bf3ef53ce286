#include "stages/birth.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "../scratch.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

// A process with namespaces of its own, into which others are born.
class Holder {
 public:
  explicit Holder(std::uint64_t namespaces) {
    sys::Pipe ready = sys::make_pipe();
    child_ = sys::spawn({.namespaces = namespaces}, [&] {
      sys::write_all(ready.write_end, "!");
      return ::pause();
    });
    char byte = 0;
    REQUIRE(::read(ready.read_end.number(), &byte, 1) == 1);
  }
  ~Holder() { end(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  void end() {
    if (!child_.pidfd) return;
    sys::send_signal(child_.pidfd, SIGKILL);
    sys::wait_for(child_.pidfd);
    child_.pidfd.reset();
  }
  const sys::Child& child() const { return child_; }

 private:
  sys::Child child_{};
};

TEST_CASE("a process is born into a pid namespace, and its parent knows its number outside",
          "[birth]") {
  if (test::skip_unless_root()) return;
  const Holder holder(CLONE_NEWPID);
  const sys::Child child = spawn_through_joiner(
      {}, [&](sys::FdRef) { sys::join_namespaces(holder.child().pidfd, CLONE_NEWPID); },
      // The holder is 1 there, and its parent is nobody that it could name.
      [] { return ::getpid() == 2 && ::getppid() == 0 ? 0 : 1; }, "");
  CHECK(child.pid > 2);
  CHECK(sys::wait_for(child.pidfd).code == 0);
}

TEST_CASE("a joiner is never seen in the pid namespace that it joins", "[birth]") {
  if (test::skip_unless_root()) return;
  const Holder holder(CLONE_NEWPID);
  // The next number there is the child's: the joiner took none.
  for (int expected = 2; expected < 5; ++expected) {
    const sys::Child child = spawn_through_joiner(
        {}, [&](sys::FdRef) { sys::join_namespaces(holder.child().pidfd, CLONE_NEWPID); },
        [] { return ::getpid(); }, "");
    CHECK(sys::wait_for(child.pidfd).code == expected);
  }
}

TEST_CASE("a process is born with new namespaces beside those that were joined", "[birth]") {
  if (test::skip_unless_root()) return;
  const Holder holder(CLONE_NEWPID | CLONE_NEWUTS);
  const auto uts_of = [](pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/uts";
    const sys::Fd file = sys::open_at(sys::FdRef::cwd(), path, O_RDONLY);
    return sys::status(file).st_ino;
  };
  const sys::Child child = spawn_through_joiner(
      {.namespaces = CLONE_NEWUTS},
      [&](sys::FdRef) { sys::join_namespaces(holder.child().pidfd, CLONE_NEWPID | CLONE_NEWUTS); },
      [] { return ::pause(); }, "");
  CHECK(uts_of(child.pid) != uts_of(holder.child().pid));
  CHECK(uts_of(child.pid) != uts_of(::getpid()));
  sys::send_signal(child.pidfd, SIGKILL);
  sys::wait_for(child.pidfd);
}

TEST_CASE("a namespace that is gone stops the joiner, and the reason is told", "[birth]") {
  if (test::skip_unless_root()) return;
  const sys::Child gone = sys::spawn({}, [] { return 0; });
  sys::wait_for(gone.pidfd);
  CHECK_THROWS_WITH(
      spawn_through_joiner(
          {}, [&](sys::FdRef) { sys::join_namespaces(gone.pidfd, CLONE_NEWPID); }, [] { return 0; },
          ""),
      Catch::StartsWith("setns(") && Catch::EndsWith("CLONE_NEWPID): no such process"));
}

TEST_CASE("nobody is born into a pid namespace whose first process has ended", "[birth]") {
  if (test::skip_unless_root()) return;
  Holder holder(CLONE_NEWPID);
  const sys::Fd file = sys::open_at(
      sys::FdRef::cwd(), "/proc/" + std::to_string(holder.child().pid) + "/ns/pid", O_RDONLY);
  holder.end();
  CHECK_THROWS_WITH(
      spawn_through_joiner(
          {}, [&](sys::FdRef) { sys::join_namespaces(file, CLONE_NEWPID); }, [] { return 0; }, ""),
      Catch::StartsWith("clone3(0x0): "));
}

}  // namespace
}  // namespace tare::stages
