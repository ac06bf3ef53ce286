#include "sys/socket.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <functional>

#include "../../scratch.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

int errno_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.errno_value();
  }
  return 0;
}

Fd open_null() {
  return open_at(FdRef::cwd(), "/dev/null", O_RDONLY);
}

std::size_t open_descriptors() {
  const Fd directory = open_at(FdRef::cwd(), "/proc/self/fd", O_RDONLY | O_DIRECTORY);
  return list_directory(directory).size();
}

// A message with as many descriptors as a hostile sender likes.
void send_many(FdRef socket, const std::vector<int>& numbers) {
  std::string byte = "x";
  iovec part{.iov_base = byte.data(), .iov_len = 1};
  alignas(cmsghdr) std::array<char, 1024> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(numbers.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(numbers.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), numbers.data(), numbers.size() * sizeof(int));
  REQUIRE(::sendmsg(socket.number(), &message, 0) == 1);
}

TEST_CASE("messages keep their borders and their order", "[socket]") {
  const auto [one, other] = socket_pair();
  send_message(one, "first");
  send_message(one, std::string_view("sec\0nd", 6));
  CHECK(receive_message(other).bytes == "first");
  CHECK(receive_message(other).bytes == std::string("sec\0nd", 6));
  send_message(other, "back");
  CHECK(read_message(one, 100) == "back");
}

TEST_CASE("a descriptor comes with its message, and closed on exec", "[socket]") {
  const auto [one, other] = socket_pair();
  const Fd null = open_null();
  send_message(one, "with", null);
  send_message(one, "without");
  const Message with = receive_message(other);
  CHECK(with.bytes == "with");
  REQUIRE(with.attached);
  CHECK(with.attached.number() != null.number());
  CHECK(status(with.attached).st_rdev == status(null).st_rdev);
  CHECK((::fcntl(with.attached.number(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK_FALSE(receive_message(other).attached);
}

TEST_CASE("an attached descriptor outlives the sender's own", "[socket]") {
  const auto [one, other] = socket_pair();
  const test::Scratch scratch;
  scratch.write("f", "content");
  {
    const Fd file = open_at(scratch.fd(), "f", O_RDONLY);
    send_message(one, "x", file);
  }
  const Message message = receive_message(other);
  CHECK(read_all(message.attached) == "content");
}

TEST_CASE("a message as long as the limit is taken and a longer one is an error", "[socket]") {
  const auto [one, other] = socket_pair();
  send_message(one, std::string(100, 'a'));
  send_message(one, std::string(101, 'b'));
  send_message(one, "next");
  CHECK(receive_message(other, 100).bytes.size() == 100);
  CHECK(errno_of([&] { receive_message(other, 100); }) == EMSGSIZE);
  CHECK(receive_message(other, 100).bytes == "next");
}

TEST_CASE("a descriptor that came with a message too long is not kept", "[socket]") {
  const auto [one, other] = socket_pair();
  const Fd null = open_null();
  send_message(one, std::string(101, 'b'), null);
  const std::size_t before = open_descriptors();
  CHECK(errno_of([&] { receive_message(other, 100); }) == EMSGSIZE);
  CHECK(open_descriptors() == before);
}

TEST_CASE("more descriptors than one are an error and none of them is kept", "[socket]") {
  const std::size_t count = GENERATE(2U, 3U, 16U);
  const auto [one, other] = socket_pair();
  const Fd null = open_null();
  send_many(one, std::vector<int>(count, null.number()));
  const std::size_t before = open_descriptors();
  CHECK(errno_of([&] { receive_message(other); }) == EMSGSIZE);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a descriptor for which there is no room is missed", "[socket]") {
  const auto [one, other] = socket_pair();
  const Fd null = open_null();
  send_message(one, "x", null);
  const Child child = spawn({}, [&] {
    const rlimit none{3, 3};
    ::setrlimit(RLIMIT_NOFILE, &none);
    return errno_of([&] { receive_message(other); });
  });
  CHECK(wait_for(child.pidfd).code == EMSGSIZE);
}

TEST_CASE("the end of the other side is an empty message, after all that it said", "[socket]") {
  auto [one, other] = socket_pair();
  send_message(one, "last words");
  one.reset();
  CHECK(receive_message(other).bytes == "last words");
  const Message end = receive_message(other);
  CHECK(end.bytes.empty());
  CHECK_FALSE(end.attached);
  CHECK(read_message(other, 10).empty());
}

TEST_CASE("a peer that died with our message unread has closed, whichever way we ask", "[socket]") {
  const bool by_read = GENERATE(false, true);
  auto [one, other] = socket_pair();
  send_message(other, "never read");
  one.reset();
  if (by_read) {
    CHECK(read_message(other, 10).empty());
  } else {
    CHECK(receive_message(other).bytes.empty());
  }
}

TEST_CASE("what a peer said before it died is heard although it left our message unread",
          "[socket]") {
  const bool by_read = GENERATE(false, true);
  auto [one, other] = socket_pair();
  send_message(other, "never read");
  send_message(one, "last words");
  one.reset();
  CHECK((by_read ? read_message(other, 10) : receive_message(other).bytes) == "last words");
  CHECK(read_message(other, 10).empty());
}

TEST_CASE("sending to a peer that is gone is an error and no signal", "[socket]") {
  const Child child = spawn({}, [] {
    // Whoever started the tests may have it ignored.
    ::signal(SIGPIPE, SIG_DFL);
    // A console socket is of this type, for which the kernel raises SIGPIPE.
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) return -1;
    const Fd one(ends[0]);
    ::close(ends[1]);
    return errno_of([&] { send_message(one, "x"); });
  });
  const ExitStatus status = wait_for(child.pidfd);
  CHECK(status.signal == 0);
  CHECK(status.code == EPIPE);
}

TEST_CASE("a process that is killed closes its end", "[socket]") {
  auto [one, other] = socket_pair();
  const Child child = spawn({}, [&] {
    other.reset();
    send_message(one, "alive");
    return ::pause();
  });
  one.reset();
  CHECK(receive_message(other).bytes == "alive");
  send_signal(child.pidfd, SIGKILL);
  CHECK(receive_message(other).bytes.empty());
  wait_for(child.pidfd);
}

TEST_CASE("a stream takes more than its buffer holds, and one descriptor with it", "[socket]") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  Fd near(ends[0]);
  const Fd far(ends[1]);
  const std::string all(3U << 20U, 'a');
  const Child child = spawn({}, [&] {
    const Fd null = open_null();
    send_stream(far, all, null);
    return 0;
  });
  std::size_t total = 0;
  int descriptors = 0;
  while (total < all.size()) {
    const Message message = receive_message(near);
    REQUIRE_FALSE(message.bytes.empty());
    total += message.bytes.size();
    if (message.attached) ++descriptors;
  }
  CHECK(total == all.size());
  CHECK(descriptors == 1);
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("what is no socket is an error that names it", "[socket]") {
  const Fd null = open_null();
  CHECK_THROWS_WITH(send_message(null, "x"), Catch::StartsWith("sendmsg [") &&
                                                 Catch::EndsWith("socket operation on non-socket"));
  CHECK(errno_of([&] { receive_message(null); }) == ENOTSOCK);
}

// A listening socket at a path of any length.
Fd listen_at(const test::Scratch& scratch, const std::string& directory, const std::string& name) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd parent = open_at(scratch.fd(), directory, O_PATH | O_DIRECTORY);
  const std::string path = "/proc/self/fd/" + std::to_string(parent.number()) + "/" + name;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(::bind(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(socket.number(), 5) == 0);
  return socket;
}

TEST_CASE("a caller's socket is reached, by a path longer than an address as well", "[socket]") {
  const test::Scratch scratch;
  // Around the 108 bytes of sun_path, and far beyond.
  const std::size_t length = GENERATE(60U, 106U, 107U, 108U, 109U, 240U);
  const std::size_t padding = length - scratch.path().size() - 4;
  const std::string directory(padding, 'd');
  REQUIRE(make_directory(scratch.fd(), directory, 0700));
  const Fd server = listen_at(scratch, directory, "so");
  const std::string path = scratch.path(directory + "/so");
  REQUIRE(path.size() == length);
  const Fd client = connect_unix(path);
  CHECK((::fcntl(client.number(), F_GETFD) & FD_CLOEXEC) != 0);
  const Fd null = open_null();
  send_message(client, "console", null);
  const Fd accepted(::accept(server.number(), nullptr, nullptr));
  const Message message = receive_message(accepted);
  CHECK(message.bytes == "console");
  CHECK(message.attached);
}

TEST_CASE("a path that no socket listens at is an error that names it", "[socket]") {
  const test::Scratch scratch;
  const std::string file = scratch.write("file", "");
  CHECK_THROWS_WITH(connect_unix("/no/such"), "connect /no/such: no such file or directory");
  CHECK_THROWS_WITH(connect_unix(file), "connect " + file + ": connection refused");
  CHECK(errno_of([] { connect_unix(""); }) != 0);
  CHECK(errno_of([] { connect_unix("/no/" + std::string(200, 'n')); }) == ENOENT);
  const std::string gone = scratch.path("gone");
  { listen_at(scratch, ".", "gone"); }
  CHECK_THROWS_WITH(connect_unix(gone), "connect " + gone + ": connection refused");
}

}  // namespace
}  // namespace tare::sys
