#include "tare/error.hpp"

#include <catch2/catch.hpp>
#include <cerrno>

namespace tare {
namespace {

// What encode() and decode() promise to carry.
void check_same(const Error& got, const Error& want) {
  CHECK(got.kind() == want.kind());
  CHECK(got.errno_value() == want.errno_value());
  CHECK(got.message() == want.message());
  CHECK(got.hint() == want.hint());
  CHECK(got.field() == want.field());
}

Error full_error() {
  Error error = Error::from_errno(ENOENT, "open /a", "make /a");
  error.add_context("mount /proc");
  error.set_field("/mounts/3");
  return error;
}

TEST_CASE("errno is told in the words that Go has for it", "[error]") {
  const auto [number, text] = GENERATE(table<int, std::string>({
      {EPERM, "operation not permitted"},
      {ENOENT, "no such file or directory"},
      {ESRCH, "no such process"},
      {EIO, "input/output error"},
      {EACCES, "permission denied"},
      {EBUSY, "device or resource busy"},
      {EEXIST, "file exists"},
      {ENODEV, "no such device"},
      {ENOTDIR, "not a directory"},
      {EINVAL, "invalid argument"},
      {EROFS, "read-only file system"},
      {ELOOP, "too many levels of symbolic links"},
      {ENOTEMPTY, "directory not empty"},
      {EOPNOTSUPP, "operation not supported"},
      {ENOCSI, "no CSI structure available"},
      {EDOTDOT, "RFS specific error"},
      {ERFKILL, "operation not possible due to RF-kill"},
  }));
  CHECK(errno_text(number) == text);
}

TEST_CASE("a number that is no errno is told as a number", "[error]") {
  CHECK(errno_text(4095) == "errno 4095");
  CHECK(errno_text(-1) == "errno -1");
}

TEST_CASE("every kind has a name of its own", "[error]") {
  const ErrorKind kinds[] = {ErrorKind::usage,       ErrorKind::spec,   ErrorKind::state,
                             ErrorKind::unsupported, ErrorKind::system, ErrorKind::internal};
  for (const ErrorKind kind : kinds) {
    int same = 0;
    for (const ErrorKind other : kinds) same += to_string(kind) == to_string(other) ? 1 : 0;
    CHECK(same == 1);
  }
  CHECK(to_string(ErrorKind::spec) == "spec");
  CHECK(to_string(static_cast<ErrorKind>(99)) == "internal");
}

TEST_CASE("a failed call is told with its reason and keeps its errno", "[error]") {
  const Error error = Error::from_errno(EACCES, "open /etc/shadow", "be root");
  CHECK(error.kind() == ErrorKind::system);
  CHECK(error.errno_value() == EACCES);
  CHECK(error.message() == "open /etc/shadow: permission denied");
  CHECK(error.hint() == "be root");
  CHECK(std::string(error.what()) == error.message());
}

TEST_CASE("what was being done stands outermost first", "[error]") {
  Error error(ErrorKind::spec, "fault");
  error.add_context("inner");
  error.add_context("outer");
  CHECK(error.message() == "outer: inner: fault");
}

TEST_CASE("the innermost field and the first hint are kept", "[error]") {
  Error error(ErrorKind::spec, "fault");
  error.set_field("/mounts/3/options");
  error.set_field("/mounts");
  error.set_hint("first");
  error.set_hint("second");
  CHECK(error.field() == "/mounts/3/options");
  CHECK(error.hint() == "first");
}

TEST_CASE("in_context describes only what fails", "[error]") {
  int described = 0;
  const auto describe = [&] {
    ++described;
    return "doing";
  };
  CHECK(in_context(describe, [] { return 7; }) == 7);
  CHECK(described == 0);
  CHECK_THROWS_WITH(in_context(describe, [] { throw Error(ErrorKind::state, "fault"); }),
                    "doing: fault");
  CHECK(described == 1);
}

TEST_CASE("in_context gives a reference where the body does", "[error]") {
  int value = 1;
  in_context([] { return "doing"; }, [&]() -> int& { return value; }) = 2;
  CHECK(value == 2);
}

TEST_CASE("asked_by names the field and leaves the message alone", "[error]") {
  try {
    asked_by(
        [] { return "/outer"; },
        [] { asked_by([] { return "/inner"; }, [] { throw Error(ErrorKind::spec, "fault"); }); });
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.field() == "/inner");
    CHECK(error.message() == "fault");
  }
}

TEST_CASE("what is no Error of ours passes both unchanged", "[error]") {
  CHECK_THROWS_AS(in_context([] { return "doing"; }, [] { throw 5; }), int);
  CHECK_THROWS_AS(asked_by([] { return "/a"; }, [] { throw 5; }), int);
}

TEST_CASE("an encoded error is decoded whole", "[error]") {
  check_same(Error::decode(full_error().encode()), full_error());
  const Error bare(ErrorKind::usage, "");
  check_same(Error::decode(bare.encode()), bare);
  const Error lines(ErrorKind::internal, "a\nb\xff: \"", "\xe2\x80\xa6");
  check_same(Error::decode(lines.encode()), lines);
}

TEST_CASE("a NUL within a text cannot move one field into another", "[error]") {
  Error error(ErrorKind::spec, std::string("a\0b", 3), std::string("\0", 1));
  error.set_field(std::string("/x\0/y", 5));
  const Error got = Error::decode(error.encode());
  CHECK(got.message() == "a?b");
  CHECK(got.hint() == "?");
  CHECK(got.field() == "/x?/y");
}

TEST_CASE("an error of any length fits into one message", "[error]") {
  Error error(ErrorKind::spec, std::string(1'000'000, 'm'), std::string(1'000'000, 'h'));
  error.set_field("/" + std::string(1'000'000, 'f'));
  CHECK(error.encode().size() < 60'000);
  const Error got = Error::decode(error.encode());
  CHECK_THAT(got.message(), Catch::StartsWith("mmm") && Catch::EndsWith("m…"));
  CHECK_THAT(got.hint(), Catch::EndsWith("h…"));
  CHECK_THAT(got.field(), Catch::EndsWith("f…"));
}

TEST_CASE("no truncation of an encoded error is taken for another error", "[error]") {
  const std::string whole = full_error().encode();
  const std::size_t last_field = whole.rfind('\0') + 1;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    const Error got = Error::decode(std::string_view(whole).substr(0, length));
    if (length < last_field) {
      CHECK(got.kind() == ErrorKind::internal);
      CHECK(got.message() == "a malformed error arrived from a child process");
      CHECK(got.field().empty());
    } else {
      // Only the end of the last text is missing: that cannot be seen, and lies about nothing else.
      CHECK(got.message() == full_error().message());
      CHECK(full_error().field().starts_with(got.field()));
    }
  }
}

TEST_CASE("a malformed error says nothing of what arrived", "[error]") {
  using namespace std::string_literals;
  const std::string bytes =
      GENERATE(""s, "secret"s, "9\0000\0secret\0secret\0"s, "-1\0000\0secret\0\0"s,
               "\0000\0secret\0\0"s, "x\0000\0secret\0\0"s, "1x\0000\0secret\0\0"s,
               "1\0x\0secret\0\0"s, "1\0\0secret\0\0"s, "99999999999999999999\0000\0secret\0\0"s,
               "1\00099999999999999999999\0secret\0\0"s, "1\0000\0secret\0"s);
  const Error got = Error::decode(bytes);
  CHECK(got.kind() == ErrorKind::internal);
  CHECK(got.message() == "a malformed error arrived from a child process");
  CHECK(got.hint().empty());
  CHECK(got.errno_value() == 0);
}

TEST_CASE("what follows the fifth field is no part of it", "[error]") {
  using namespace std::string_literals;
  CHECK(Error::decode("1\0002\0m\0h\0f\0more"s).field() == "f");
}

}  // namespace
}  // namespace tare
