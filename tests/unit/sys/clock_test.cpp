#include "sys/clock.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <ctime>

namespace tare::sys {
namespace {

// time(2) may lag behind: it is the time of the last tick.
std::time_t seconds_now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec;
}

TEST_CASE("the time is RFC 3339 in UTC with nine digits", "[clock]") {
  const std::string text = now_rfc3339_nanoseconds();
  CHECK_THAT(text, Catch::Matches(R"(\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d{9}Z)"));
}

TEST_CASE("the time is the kernel's, whatever TZ says", "[clock]") {
  ::setenv("TZ", "Asia/Kathmandu", 1);
  const std::time_t before = seconds_now();
  const std::string text = now_rfc3339_nanoseconds();
  const std::time_t after = seconds_now();
  ::unsetenv("TZ");
  std::tm parts{};
  REQUIRE(std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d", &parts.tm_year, &parts.tm_mon,
                      &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec) == 6);
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  const std::time_t told = ::timegm(&parts);
  CHECK(told >= before);
  CHECK(told <= after);
}

TEST_CASE("two times sort as their texts do", "[clock]") {
  const std::string first = now_rfc3339_nanoseconds();
  const std::string second = now_rfc3339_nanoseconds();
  CHECK(first <= second);
}

TEST_CASE("nanoseconds are of the same time", "[clock]") {
  const std::time_t before = seconds_now();
  const std::int64_t told = now_nanoseconds() / 1'000'000'000;
  CHECK(told >= before);
  CHECK(told <= seconds_now());
}

TEST_CASE("the id of the boot is one line and stays", "[clock]") {
  CHECK_THAT(boot_id(), Catch::Matches("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"));
  CHECK(boot_id() == boot_id());
}

}  // namespace
}  // namespace tare::sys
