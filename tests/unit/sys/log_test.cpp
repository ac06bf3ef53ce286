#include "sys/log.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../../scratch.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using nlohmann::json;
using nlohmann::ordered_json;
using sys::Log;
using sys::LogFormat;
using sys::LogLevel;
using sys::on_one_line;
using test::Scratch;

namespace {

constexpr std::string_view kTime = "2026-11-24T21:07:00Z";

std::string text(std::string_view message) {
  return sys::text_line(LogLevel::error, kTime, message);
}

// What `body` writes to standard error.
template <typename Body>
std::string stderr_of(Body&& body) {
  sys::Pipe pipe = sys::make_pipe();
  const sys::Child child = sys::spawn({}, [&] {
    ::dup2(pipe.write_end.number(), STDERR_FILENO);
    body();
    return 0;
  });
  pipe.write_end.reset();
  std::string written = sys::read_all(pipe.read_end);
  CHECK(sys::wait_for(child.pidfd).code == 0);
  return written;
}

Error full_error() {
  Error error = Error::from_errno(ENOENT, "open /x", "make it");
  error.set_field("/mounts/0");
  return error;
}

}  // namespace

TEST_CASE("log: a text line is logrus's, quoted where it must be", "[log]") {
  CHECK(text("plain") == "time=\"2026-11-24T21:07:00Z\" level=error msg=plain\n");
  CHECK(text("a/b-c.d_e@f^g+1") ==
        "time=\"2026-11-24T21:07:00Z\" level=error msg=a/b-c.d_e@f^g+1\n");
  CHECK(text("container does not exist") ==
        "time=\"2026-11-24T21:07:00Z\" level=error msg=\"container does not exist\"\n");
  CHECK(text("exec: \"x\\y\": a=b") ==
        "time=\"2026-11-24T21:07:00Z\" level=error msg=\"exec: \\\"x\\\\y\\\": a=b\"\n");
  CHECK(sys::text_line(LogLevel::debug, kTime, "x").find(" level=debug ") != std::string::npos);
  CHECK(sys::text_line(LogLevel::warning, kTime, "x").find(" level=warning ") != std::string::npos);
}

TEST_CASE("log: no message makes two lines, or acts on a terminal", "[log]") {
  CHECK(on_one_line("a\nb\rc\td") == "a\\nb\\rc\\td");
  CHECK(on_one_line("\x1b[2J\x07\x7f") == "\\x1b[2J\\x07\\x7f");
  CHECK(on_one_line(std::string_view("a\0b", 3)) == "a\\x00b");
  CHECK(on_one_line("\u0085\u009b") == "\\xc2\\x85\\xc2\\x9b");
  CHECK(on_one_line("tåre ☃ 𝄞") == "tåre ☃ 𝄞");
}

TEST_CASE("log: what is no UTF-8 is shown as bytes", "[log]") {
  CHECK(on_one_line("\xff") == "\\xff");
  CHECK(on_one_line("a\xc3") == "a\\xc3");
  CHECK(on_one_line("\xc3(") == "\\xc3(");
  CHECK(on_one_line("\xe2\x98") == "\\xe2\\x98");
  CHECK(on_one_line("\xc0\xaf") == "\\xc0\\xaf");
}

TEST_CASE("log: a JSON line is one object with what runc's has", "[log]") {
  const std::string line = sys::json_line(LogLevel::debug, kTime, "a \"b\"\nc");
  CHECK(line ==
        "{\"level\":\"debug\",\"msg\":\"a \\\"b\\\"\\nc\","
        "\"time\":\"2026-11-24T21:07:00Z\"}\n");
  CHECK_NOTHROW(json::parse(sys::json_line(LogLevel::error, kTime, "\xff\xfe")));
}

TEST_CASE("log: a failure in JSON tells what tare knows besides", "[log]") {
  const json line = json::parse(sys::json_line(kTime, "create failed: x", full_error()));
  CHECK(line == json{{"level", "error"},
                     {"msg", "create failed: x"},
                     {"time", kTime},
                     {"kind", "system"},
                     {"errno", ENOENT},
                     {"field", "/mounts/0"},
                     {"hint", "make it"}});
}

TEST_CASE("log: what an error does not have is no key of its line", "[log]") {
  const json line = json::parse(sys::json_line(kTime, "x", Error(ErrorKind::state, "x")));
  CHECK(line.size() == 4);
  CHECK(line["kind"] == "state");
}

TEST_CASE("log: a file is appended to, and only its level gets in", "[log]") {
  const Scratch scratch;
  const std::string path = scratch.write("log", "before\n");
  const Log log(path, LogFormat::text, LogLevel::warning);
  log.write(LogLevel::debug, "too quiet");
  log.write(LogLevel::info, "too quiet");
  log.write(LogLevel::warning, "heard");
  const std::string written = scratch.read("log");
  CHECK(written.find("before\ntime=\"") == 0);
  CHECK(written.find("quiet") == std::string::npos);
  CHECK(written.find(" level=warning msg=heard\n") != std::string::npos);
  CHECK_FALSE(log.debug_enabled());
}

TEST_CASE("log: crun's way of naming a file is understood", "[log]") {
  const Scratch scratch;
  Log("file:" + scratch.path("log"), LogFormat::json, LogLevel::error).write(LogLevel::error, "x");
  CHECK(json::parse(scratch.read("log"))["msg"] == "x");
}

TEST_CASE("log: a log that cannot be opened is an error that names it", "[log]") {
  CHECK_THROWS_WITH(Log("/nonexistent/log", LogFormat::text, LogLevel::error),
                    "open /nonexistent/log: no such file or directory");
}

TEST_CASE("log: a FIFO that nobody reads is an error, and one that is read is a log", "[log]") {
  const Scratch scratch;
  sys::make_node(scratch.fd(), "fifo", S_IFIFO | 0600, 0);
  CHECK_THROWS_AS(Log(scratch.path("fifo"), LogFormat::text, LogLevel::error), Error);
  const sys::Fd reader = sys::open_at(scratch.fd(), "fifo", O_RDONLY | O_NONBLOCK);
  Log(scratch.path("fifo"), LogFormat::text, LogLevel::error).write(LogLevel::error, "heard");
  CHECK(sys::read_all(reader).find("msg=heard\n") != std::string::npos);
}

TEST_CASE("log: a failure is one line in the log and the same words on standard error", "[log]") {
  const Scratch scratch;
  const std::string shown = stderr_of([&] {
    Log(scratch.path("log"), LogFormat::json, LogLevel::error)
        .write_failure(full_error(), "tare create failed: ");
  });
  CHECK(shown == "tare create failed: open /x: no such file or directory\n");
  const std::string logged = scratch.read("log");
  CHECK(std::count(logged.begin(), logged.end(), '\n') == 1);
  CHECK(json::parse(logged)["msg"] == "tare create failed: open /x: no such file or directory");
}

TEST_CASE("log: without a file a failure is one line on standard error, in the log's form",
          "[log]") {
  const std::string plain = stderr_of([] { Log().write_failure(full_error(), ""); });
  CHECK(plain.find("time=\"20") == 0);
  CHECK(plain.find("Z\" level=error msg=\"open /x: no such file or directory\"\n") !=
        std::string::npos);
  CHECK(std::count(plain.begin(), plain.end(), '\n') == 1);

  const std::string object =
      stderr_of([] { Log(LogFormat::json).write_failure(full_error(), ""); });
  CHECK(json::parse(object)["field"] == "/mounts/0");
}

TEST_CASE("log: the time of a line is RFC 3339 in whole seconds", "[log]") {
  const Scratch scratch;
  Log(scratch.path("log"), LogFormat::json, LogLevel::error).write(LogLevel::error, "x");
  const std::string time = json::parse(scratch.read("log"))["time"];
  CHECK(time.size() == kTime.size());
  CHECK(time[10] == 'T');
  CHECK(time.back() == 'Z');
}

TEST_CASE("log: a standard error that is closed does not stop a command", "[log]") {
  const sys::Child child = sys::spawn({}, [] {
    ::close(STDERR_FILENO);
    Log().write_failure(full_error(), "");
    return 9;
  });
  CHECK(sys::wait_for(child.pidfd).code == 9);
}
