#include "sys/fifo.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using test::Scratch;

namespace {

sys::Fd open_reader(const Scratch& scratch) {
  sys::make_node(scratch.fd(), "fifo", S_IFIFO | 0600, 0);
  return sys::open_at(scratch.fd(), "fifo", O_RDWR);
}

}  // namespace

TEST_CASE("fifo: its writing side is there as long as somebody holds the reading side", "[fifo]") {
  const Scratch scratch;
  CHECK_FALSE(sys::find_read_fifo(scratch.fd(), "fifo").has_value());
  sys::Fd reader = open_reader(scratch);
  CHECK(sys::find_read_fifo(scratch.fd(), "fifo").has_value());
  reader.reset();
  CHECK_FALSE(sys::find_read_fifo(scratch.fd(), "fifo").has_value());
}

TEST_CASE("fifo: a byte that is written is the byte that is read", "[fifo]") {
  const Scratch scratch;
  const sys::Fd reader = open_reader(scratch);
  const auto writer = sys::find_read_fifo(scratch.fd(), "fifo");
  REQUIRE(writer.has_value());
  const sys::Child child = sys::spawn({}, [&] {
    sys::read_byte(reader);
    return 4;
  });
  CHECK(sys::write_byte(*writer));
  CHECK(sys::wait_for(child.pidfd).code == 4);
}

TEST_CASE("fifo: writing to nobody is an answer and not a signal", "[fifo]") {
  const Scratch scratch;
  sys::Fd reader = open_reader(scratch);
  const auto writer = sys::find_read_fifo(scratch.fd(), "fifo");
  reader.reset();
  CHECK_FALSE(sys::write_byte(*writer));
  sys::await_no_reader(*writer);
}

TEST_CASE("fifo: waiting ends with the last reader", "[fifo]") {
  const Scratch scratch;
  sys::Fd reader = open_reader(scratch);
  const auto writer = sys::find_read_fifo(scratch.fd(), "fifo");
  sys::Fd second = sys::duplicate(reader);
  const sys::Child waiter = sys::spawn({}, [&] {
    reader.reset();
    second.reset();
    sys::await_no_reader(*writer);
    return 6;
  });
  reader.reset();
  CHECK_FALSE(sys::await_end(waiter.pidfd, 30));
  second.reset();
  CHECK(sys::wait_for(waiter.pidfd).code == 6);
}

TEST_CASE("fifo: what is none is an error that leaves it as it was", "[fifo]") {
  const Scratch scratch;
  scratch.write("file", "x");
  CHECK_THROWS_AS(sys::find_read_fifo(scratch.fd(), "file"), Error);
  CHECK(scratch.read("file") == "x");
  sys::make_symlink("file", scratch.fd(), "link");
  CHECK_THROWS_AS(sys::find_read_fifo(scratch.fd(), "link"), Error);
}
