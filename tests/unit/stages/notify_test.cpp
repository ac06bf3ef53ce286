#include "stages/notify.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "state/store.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

using test::Scratch;

// A container's directory with its socket, and the service manager that listens beside it.
class Place {
 public:
  std::optional<Notify> open(const std::string& host) {
    make_notify_directory(directory_);
    return open_notify(directory_, host);
  }
  Notify open() { return std::move(open(scratch_.path("manager")).value()); }

  void say(const char* text) const {
    const sys::Fd socket = sys::connect_datagram(scratch_.path("notify/notify.sock"));
    sys::send_message(socket, text);
  }

  // Empty where the manager has been told nothing more.
  std::string heard() const {
    std::array<char, 100> room{};
    const ssize_t got = ::recv(manager_.number(), room.data(), room.size(), MSG_DONTWAIT);
    return {room.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }

  const Scratch& scratch() const { return scratch_; }
  const state::ContainerDirectory& directory() const { return directory_; }
  sys::FdRef manager() const { return manager_; }

 private:
  Scratch scratch_{};
  state::ContainerDirectory directory_{
      sys::open_at(sys::FdRef::cwd(), scratch_.path(), O_RDONLY | O_DIRECTORY), scratch_.path()};
  sys::Fd manager_ = sys::bind_datagram(scratch_.fd(), "manager");
};

TEST_CASE("READY is passed on from any line, with the process to watch and a barrier", "[notify]") {
  Place place;
  const Notify notify = place.open();
  place.say("STATUS=soon\nREADY=1\nMAINPID=1\n");
  CHECK(pass_on(notify, 42));
  CHECK(place.heard() == "READY=1\n");
  // The container's own idea of its pid is one of another namespace.
  CHECK(place.heard() == "MAINPID=42\n");
  CHECK(place.heard() == "BARRIER=1");
  CHECK(place.heard().empty());
}

TEST_CASE("what does not say READY is kept from the manager", "[notify]") {
  Place place;
  const Notify notify = place.open();
  for (const char* text : {"STATUS=READY=1", "NOTREADY=1\n", "\n\n", "STOPPING=1"}) {
    CAPTURE(text);
    place.say(text);
    CHECK_FALSE(pass_on(notify, 42));
    CHECK(place.heard().empty());
  }
}

TEST_CASE("a manager that is gone is nobody's error", "[notify]") {
  Place place;
  Notify notify = place.open();
  notify.host = place.scratch().path("nobody");
  place.say("READY=1");
  CHECK(pass_on(notify, 42));
}

TEST_CASE("anybody in the container may write to its socket, again after a start that was killed",
          "[notify]") {
  Place place;
  const Notify notify = place.open();
  CHECK(open_notify(place.directory(), "@manager"));
  const struct stat found = *sys::find_status(place.directory().fd(), "notify/notify.sock");
  CHECK((found.st_mode & 0777) == 0777);
}

TEST_CASE("without a manager, or a place for it, there is no socket", "[notify]") {
  Place place;
  CHECK_FALSE(open_notify(place.directory(), "@manager"));
  CHECK_FALSE(place.open(""));
}

TEST_CASE("the wait ends when the manager has worked through what it was told", "[notify]") {
  Place place;
  const Notify notify = place.open();
  const sys::Child container = sys::spawn({}, [] { return ::pause(); });
  // As a manager does: the barrier's descriptor is closed after all else, here by the end.
  const sys::Child manager = sys::spawn({}, [&] {
    for (int message = 0; message < 3; ++message) sys::receive_message(place.manager());
    return 0;
  });
  place.say("STATUS=soon");
  place.say("READY=1");
  await_ready(notify, container.pidfd, container.pid);
  CHECK(sys::wait_for(manager.pidfd).code == 0);
  sys::send_signal(container.pidfd, SIGKILL);
  sys::wait_for(container.pidfd);
}

TEST_CASE("the wait ends with the container", "[notify]") {
  Place place;
  const Notify notify = place.open();
  const sys::Child container = sys::spawn({}, [] { return 0; });
  await_ready(notify, container.pidfd, container.pid);
  CHECK(place.heard().empty());
  sys::wait_for(container.pidfd);
}

}  // namespace
}  // namespace tare::stages
