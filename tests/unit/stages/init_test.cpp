#include "stages/init.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>

#include "sys/file.hpp"
#include "sys/socket.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

terminal::Pty pty() {
  return {.master = sys::open_at(sys::FdRef::cwd(), "/dev/null", O_RDONLY), .name = "/dev/pts/7"};
}

TEST_CASE("a pty's master goes to the caller's console socket where there is one", "[init]") {
  auto [near, far] = sys::socket_pair();
  auto [caller, socket] = sys::socket_pair();
  ParentEnd parent(std::move(near));
  {
    const InitTools tools{.payload = {.channel = InitEnd(std::move(far))},
                          .console_socket = std::move(socket)};
    hand_over_console(pty(), tools);
  }
  const sys::Message message = sys::receive_message(caller);
  CHECK(message.bytes == "/dev/pts/7");
  CHECK(message.attached);
  CHECK(parent.receive().kind == FromInit::closed);
}

TEST_CASE("a pty's master goes to the parent where there is no console socket", "[init]") {
  auto [near, far] = sys::socket_pair();
  ParentEnd parent(std::move(near));
  const InitTools tools{.payload = {.channel = InitEnd(std::move(far))}};
  hand_over_console(pty(), tools);
  const Request request = parent.receive();
  CHECK(request.kind == FromInit::console);
  CHECK(request.text == "/dev/pts/7");
  CHECK(request.attached);
}

TEST_CASE("an init that cannot do its first step tells its parent and changes nothing", "[init]") {
  auto [near, far] = sys::socket_pair();
  ParentEnd parent(std::move(near));
  const sys::Child init = sys::spawn({}, [&, far = far.number()] {
    InitTools tools{.payload = {.channel = InitEnd(sys::Fd(far))}};
    // It cannot lead a session twice.
    sys::new_session();
    return init_main(Plan{}, tools);
  });
  far.reset();
  CHECK_THROWS_WITH(parent.receive(), "setsid: operation not permitted");
  CHECK(sys::wait_for(init.pidfd).code == 1);
}

}  // namespace
}  // namespace tare::stages
