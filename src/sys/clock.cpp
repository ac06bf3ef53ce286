#include "sys/clock.hpp"

#include <fmt/core.h>

#include <chrono>

#include "sys/file.hpp"

namespace tare::sys {

std::string now_rfc3339_nanoseconds() {
  namespace chrono = std::chrono;
  const auto now = chrono::system_clock::now();
  const auto day = chrono::floor<chrono::days>(now);
  const chrono::year_month_day date{day};
  const chrono::hh_mm_ss time{chrono::duration_cast<chrono::nanoseconds>(now - day)};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count(),
                     time.subseconds().count());
}

std::int64_t now_nanoseconds() noexcept {
  namespace chrono = std::chrono;
  const auto now = chrono::system_clock::now().time_since_epoch();
  return chrono::duration_cast<chrono::nanoseconds>(now).count();
}

std::string boot_id() {
  std::string id = read_file(FdRef::cwd(), "/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

}  // namespace tare::sys
