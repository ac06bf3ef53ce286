#include "cli/events.hpp"

#include <catch2/catch.hpp>

namespace tare::cli {
namespace {

TEST_CASE("times are read as Go reads them", "[cli]") {
  const std::int64_t second = 1'000'000'000;
  const std::pair<const char*, std::int64_t> good[] = {
      {"5s", 5 * second},
      {"500ms", second / 2},
      {"1m30s", 90 * second},
      {"1.5h", 5400 * second},
      {"1h0.000000001h", 3600 * second + 3600},
      {".5s", second / 2},
      {"5.s", 5 * second},
      {"100ns", 100},
      {"7us", 7'000},
      {"7\u00b5s", 7'000},
      {"7\u03bcs", 7'000},
      {"0.1ns", 0},
      {"0", 0},
      {"-0", 0},
      {"+3ms", 3'000'000},
      {"-2s", -2 * second},
      {"9223372036854775807ns", INT64_MAX},
  };
  for (const auto& [word, nanoseconds] : good) {
    INFO(word);
    CHECK(parse_duration(word) == nanoseconds);
  }
}

TEST_CASE("what is no time is not taken for one", "[cli]") {
  for (const char* bad :
       {"", "-", "+", "5", "s", ".s", "5x", "5 s", "5S", "--5s", "5s-", "1m30", "5mss", "1e3s",
        "9223372036854775808ns", "3000000h", "99999999999999999999s", "5s5"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad));
  }
}

}  // namespace
}  // namespace tare::cli
