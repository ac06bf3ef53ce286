#include "features/criu.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "sys/file.hpp"
#include "sys/socket.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using List = std::vector<std::string>;

namespace {

// A worker whose part is played by `body`, which is given the socket.
template <typename Body>
criu::Worker worker_that(Body body) {
  std::pair<sys::Fd, sys::Fd> ends = sys::socket_pair();
  sys::Child child = sys::spawn({}, [&] {
    ends.first.reset();
    body(ends.second);
    return 0;
  });
  return criu::Worker(std::move(ends.first), std::move(child));
}

// An answer of criu's: its type, success, and further bytes.
std::string answer(char type, bool success, const std::string& more = {}) {
  return std::string("\x08", 1) + type + std::string("\x10", 1) + (success ? '\1' : '\0') + more;
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("criu: a log is quoted by its errors, each once, without time and place", "[criu]") {
  const std::string log =
      "(00.000001) Version: 4.2\n"
      "Error (criu/util.c:642): execvp(\"ip\", ...) failed: No such file or directory\n"
      "(00.000002) Error (criu/util.c:657): exited, status=1 \n"
      "Error (criu/util.c:642): execvp(\"ip\", ...) failed: No such file or directory\n"
      "(00.000003) Warn  (criu/x.c:1): not an Error\n"
      "(00.000004) Error (criu/cr-dump.c:1975): Dumping FAILED.";
  CHECK(criu::errors_in(log, 3) == List{"execvp(\"ip\", ...) failed: No such file or directory",
                                        "exited, status=1", "Dumping FAILED."});
  CHECK(criu::errors_in(log, 1).size() == 1);
  CHECK(criu::errors_in("", 3).empty());
  CHECK(criu::errors_in("Error (\nError (criu): \n\n", 3).empty());
}

TEST_CASE("criu: what its log says is added to an error, with where the log is", "[criu]") {
  char name[] = "/tmp/tare-criu-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const std::string path = name;
  const sys::Fd directory = sys::open_at(sys::FdRef::cwd(), path, O_RDONLY | O_DIRECTORY);
  Error unchanged(ErrorKind::system, "criu failed");
  criu::quote_log(unchanged, directory, "dump.log", path);
  CHECK(unchanged.message() == "criu failed");
  {
    const sys::Fd log = sys::open_at(directory, "dump.log", O_WRONLY | O_CREAT, 0600);
    sys::write_all(log, "(1) Error (a.c:1): no room\n");
  }
  Error error(ErrorKind::system, "criu failed");
  criu::quote_log(error, directory, "dump.log", path);
  CHECK(error.message() == "criu failed: no room: log file: " + path + "/dump.log");
  sys::remove_file(directory, "dump.log");
  sys::remove_directory(sys::FdRef::cwd(), path);
}

TEST_CASE("criu: one that is too old is refused, with both versions", "[criu]") {
  criu::Worker worker = worker_that([](const sys::Fd& socket) {
    sys::receive_message(socket);
    // version { major_number: 3, minor_number: 15 }
    sys::send_message(socket, answer('\x0a', true, std::string("\x52\x04\x08\x03\x10\x0f", 6)));
  });
  CHECK(message_of([&] { worker.require_version(); }) ==
        "criu 3.15 is too old: 3.16 or newer is needed");
}

TEST_CASE("criu: a request ends with its answer, after the notifications", "[criu]") {
  criu::Worker worker = worker_that([](const sys::Fd& socket) {
    sys::receive_message(socket);
    // notify { script: "post-dump" }
    sys::send_message(socket, answer('\x06', true, std::string("\x2a\x0b\x0a\x09post-dump", 13)));
    if (sys::receive_message(socket).bytes != criu::encode_notified(true)) return;
    sys::send_message(socket, answer('\x01', true));
  });
  List scripts;
  worker.request(criu::RequestType::dump, {}, [&](criu::Notification& notification) {
    scripts.push_back(notification.response.script);
  });
  CHECK(scripts == List{"post-dump"});
  CHECK_NOTHROW(worker.finish());
}

TEST_CASE("criu: where a notification cannot be served, criu is told and the reason is ours",
          "[criu]") {
  criu::Worker worker = worker_that([](const sys::Fd& socket) {
    sys::receive_message(socket);
    sys::send_message(socket, answer('\x06', true, std::string("\x2a\x0b\x0a\x09post-dump", 13)));
    const bool told = sys::receive_message(socket).bytes == criu::encode_notified(false);
    sys::send_message(socket, answer('\x02', !told));
  });
  CHECK(message_of([&] {
          worker.request(criu::RequestType::restore, {}, [](criu::Notification&) {
            throw Error(ErrorKind::system, "the hook failed");
          });
        }) == "the hook failed");
}

TEST_CASE("criu: a failure is told in runc's words, and a criu that dies is one", "[criu]") {
  criu::Worker failing = worker_that([](const sys::Fd& socket) {
    sys::receive_message(socket);
    sys::send_message(socket, answer('\x01', false, std::string("\x38\x03", 2)));
  });
  CHECK(message_of([&] { failing.request(criu::RequestType::dump, {}, {}); }) ==
        "criu failed: type DUMP errno 3");
  criu::Worker dying = worker_that([](const sys::Fd& socket) { sys::receive_message(socket); });
  CHECK(message_of([&] { dying.request(criu::RequestType::restore, {}, {}); }) ==
        "criu ended without an answer to RESTORE");
}
