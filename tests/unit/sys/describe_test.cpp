#include "sys/describe.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "../../scratch.hpp"
#include "sys/file.hpp"

namespace tare::sys {
namespace {

constexpr FlagName kNames[] = {{1, "ONE"}, {2, "TWO"}, {8, "EIGHT"}};

TEST_CASE("a descriptor is told by number and path", "[describe]") {
  const Fd fd = open_at(FdRef::cwd(), "/dev/null", O_PATH);
  CHECK(describe(fd) == fmt::format("[{}]</dev/null>", fd.number()));
}

TEST_CASE("a descriptor is told by what it names now", "[describe]") {
  const test::Scratch scratch;
  scratch.write("before", "");
  const Fd fd = open_at(scratch.fd(), "before", O_PATH);
  rename_file(scratch.fd(), "before", "after");
  CHECK(describe(fd) == fmt::format("[{}]<{}>", fd.number(), scratch.path("after")));
  remove_file(scratch.fd(), "after");
  CHECK_THAT(describe(fd), Catch::EndsWith("after (deleted)>"));
}

TEST_CASE("what has no path is told as what there is of it", "[describe]") {
  CHECK(describe(FdRef::cwd()) == "[cwd]");
  CHECK(describe(FdRef(987)) == "[987]");
  CHECK(describe(FdRef(-1)) == "[-1]");
}

TEST_CASE("flags are told by their names and the rest as a number", "[describe]") {
  const auto [flags, text] = GENERATE(table<std::uint64_t, std::string>({
      {0, "0x0"},
      {1, "ONE"},
      {3, "ONE|TWO"},
      {9, "ONE|EIGHT"},
      {4, "0x4"},
      {5, "ONE|0x4"},
      {0x8000000000000002, "TWO|0x8000000000000000"},
  }));
  CHECK(describe_flags(flags, kNames) == text);
}

TEST_CASE("raise throws the call with its reason", "[describe]") {
  try {
    raise(ENOENT, "open {}/{}", "a", 7);
  } catch (const Error& error) {
    CHECK(error.message() == "open a/7: no such file or directory");
    CHECK(error.errno_value() == ENOENT);
    CHECK(error.kind() == ErrorKind::system);
  }
}

}  // namespace
}  // namespace tare::sys
