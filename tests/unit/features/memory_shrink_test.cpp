#include "features/memory_shrink.hpp"

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "tare/error.hpp"

namespace tare::memory_shrink {
namespace {

TEST_CASE("a memory limit is read as the kernel reads it", "[memory_shrink]") {
  CHECK(bytes_of("4096") == 4096);
  CHECK(bytes_of("512M") == 512U << 20U);
  CHECK(bytes_of("2g\n") == std::uint64_t{2} << 30U);
  CHECK(bytes_of("max") == std::nullopt);
  CHECK(bytes_of("") == std::nullopt);
  CHECK(bytes_of("5x") == std::nullopt);
  CHECK(bytes_of("99999999999T") == std::nullopt);
}

TEST_CASE("nothing is touched where the limit leaves room", "[memory_shrink]") {
  const test::Scratch scratch;
  scratch.write("memory.current", "500\n");
  scratch.write("memory.high", "max\n");
  const Squeeze squeeze(scratch.fd(), 500);
  CHECK(scratch.read("memory.high") == "max\n");
}

TEST_CASE("a limit that reclaim cannot reach is refused, and memory.high is as before",
          "[memory_shrink]") {
  const test::Scratch scratch;
  scratch.write("memory.current", "5000\n");
  scratch.write("memory.high", "max\n");
  scratch.write("memory.reclaim", "");
  CHECK_THROWS_WITH(Squeeze(scratch.fd(), 400),
                    "memory.max can't be lowered to 400: 5000 bytes are in use and cannot be "
                    "reclaimed");
  CHECK(scratch.read("memory.high") == "max\n");
  CHECK(scratch.read("memory.reclaim") == "4600");
}

}  // namespace
}  // namespace tare::memory_shrink
