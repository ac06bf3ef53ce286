#include "stages/protocol.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

// The parent's end, and init's as a bare socket on which anything may be said.
struct Ends {
  explicit Ends(std::pair<sys::Fd, sys::Fd> pair = sys::socket_pair())
      : parent(std::move(pair.first)), init(std::move(pair.second)) {}
  void say(std::string_view bytes) const { sys::send_message(init, bytes); }

  ParentEnd parent;
  sys::Fd init;
};

// The two ends as init has them: its own, and the parent's as a bare socket.
struct InitEnds {
  explicit InitEnds(std::pair<sys::Fd, sys::Fd> pair = sys::socket_pair())
      : parent(std::move(pair.first)), init(std::move(pair.second)) {}

  sys::Fd parent;
  InitEnd init;
};

TEST_CASE("every request may come once, in the order of the table", "[protocol]") {
  Ends ends;
  for (const char kind : std::string("JUMBCHLSNR")) {
    ends.say(std::string(1, kind));
    CHECK(ends.parent.receive().kind == static_cast<FromInit>(kind));
  }
  ends.init.reset();
  CHECK(ends.parent.receive().kind == FromInit::closed);
}

TEST_CASE("any number of mounts may be sent to be mapped, before the console", "[protocol]") {
  Ends ends;
  for (int i = 0; i < 3; ++i) {
    ends.say("B/mounts/1");
    CHECK(ends.parent.receive().text == "/mounts/1");
  }
  ends.say("C");
  ends.parent.receive();
  ends.say("B/mounts/1");
  CHECK_THROWS_WITH(ends.parent.receive(), "the container's process sent a message out of order");
}

TEST_CASE("requests that are not needed are left out", "[protocol]") {
  Ends ends;
  ends.say("H");
  CHECK(ends.parent.receive().kind == FromInit::need_hooks);
  ends.say("R");
  CHECK(ends.parent.receive().kind == FromInit::ready);
}

TEST_CASE("a request that comes twice, too late or is none is refused", "[protocol]") {
  const auto [before, message] = GENERATE(table<std::string, std::string>({
      {"M", "M"},
      {"C", "M"},
      {"I", "I"},
      {"B", "I"},
      {"R", "R"},
      {"R", "S"},
      {"R", "J"},
      {"", "E"},
      {"", "x"},
      {"", std::string(1, '\0')},
      {"", "\xff"},
      {"", "r"},
      {"", "m"},
  }));
  Ends ends;
  if (!before.empty()) {
    ends.say(before);
    ends.parent.receive();
  }
  ends.say(message);
  CHECK_THROWS_WITH(ends.parent.receive(), "the container's process sent a message out of order");
}

TEST_CASE("what comes with a request arrives with it", "[protocol]") {
  InitEnds ends;
  ParentEnd parent(std::move(ends.parent));
  const sys::Fd null = sys::open_at(sys::FdRef::cwd(), "/dev/null", O_RDONLY);
  ends.init.send(FromInit::console, "/dev/pts/0", null);
  const Request request = parent.receive();
  CHECK(request.kind == FromInit::console);
  CHECK(request.text == "/dev/pts/0");
  REQUIRE(request.attached);
  CHECK(sys::status(request.attached).st_rdev == sys::status(null).st_rdev);
  ends.init.send(FromInit::ready);
  CHECK_FALSE(parent.receive().attached);
}

TEST_CASE("a failure is thrown in the parent as it was in init, at any time", "[protocol]") {
  const std::string before = GENERATE("", "R");
  Ends ends;
  if (!before.empty()) {
    ends.say(before);
    ends.parent.receive();
  }
  Error sent = Error::from_errno(ENOENT, "open /x", "make it");
  sent.set_field("/mounts/1");
  InitEnd init(std::move(ends.init));
  init.send_failure(sent);
  try {
    ends.parent.receive();
    FAIL("nothing was thrown");
  } catch (const Error& got) {
    CHECK(got.message() == "open /x: no such file or directory");
    CHECK(got.errno_value() == ENOENT);
    CHECK(got.hint() == "make it");
    CHECK(got.field() == "/mounts/1");
  }
}

TEST_CASE("a failure of any length arrives", "[protocol]") {
  InitEnds ends;
  ParentEnd parent(std::move(ends.parent));
  ends.init.send_failure(Error(ErrorKind::system, "exec: " + std::string(3'000'000, 'x')));
  CHECK_THROWS_WITH(parent.receive(), Catch::StartsWith("exec: xxx"));
}

TEST_CASE("a failure that is none is told as what it is", "[protocol]") {
  Ends ends;
  ends.say("F");
  CHECK_THROWS_WITH(ends.parent.receive(), "a malformed error arrived from a child process");
}

TEST_CASE("a message longer than any that init sends is refused", "[protocol]") {
  Ends ends;
  ends.say("C" + std::string(100'000, 'x'));
  CHECK_THROWS_WITH(ends.parent.receive(), Catch::EndsWith("message too long"));
}

TEST_CASE("a failure for which nobody is left is passed over", "[protocol]") {
  InitEnds ends;
  const sys::Child child = sys::spawn({}, [&] {
    ends.parent.reset();
    ends.init.send_failure(Error(ErrorKind::system, "unheard"));
    ends.init.close();
    ends.init.send_failure(Error(ErrorKind::system, "unsent"));
    return 7;
  });
  CHECK(sys::wait_for(child.pidfd).code == 7);
}

TEST_CASE("an answer gives its text, the largest filter as well", "[protocol]") {
  InitEnds ends;
  const ParentEnd parent(std::move(ends.parent));
  // 4,096 instructions of 8 bytes, BPF_MAXINSNS.
  const std::string filter(4096 * 8, '\0');
  parent.send(ToInit::filter, filter);
  parent.send(ToInit::proceed);
  CHECK(ends.init.expect_text(ToInit::filter) == filter);
  ends.init.expect(ToInit::proceed);
}

TEST_CASE("an answer to another question is refused", "[protocol]") {
  InitEnds ends;
  const ParentEnd parent(std::move(ends.parent));
  parent.send(ToInit::proceed);
  CHECK_THROWS_WITH(ends.init.expect(ToInit::filter), "the parent sent a message out of order");
}

TEST_CASE("init does not go on without its parent", "[protocol]") {
  const bool with_unread_message = GENERATE(false, true);
  InitEnds ends;
  const sys::Child child = sys::spawn({}, [&] {
    ends.parent.reset();
    if (with_unread_message) ends.init.send(FromInit::ready);
    ends.init.expect(ToInit::proceed);
    return 77;
  });
  ends.parent.reset();
  CHECK(sys::wait_for(child.pidfd).code == 1);
}

TEST_CASE("an end that was closed is not open", "[protocol]") {
  InitEnds ends;
  CHECK(ends.init.is_open());
  CHECK(ends.init.fd().number() >= 0);
  ends.init.close();
  CHECK_FALSE(ends.init.is_open());
  ParentEnd parent(std::move(ends.parent));
  CHECK(parent.receive().kind == FromInit::closed);
}

}  // namespace
}  // namespace tare::stages
