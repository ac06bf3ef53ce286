#include "features/memory_shrink.hpp"

#include <fmt/core.h>

#include <charconv>
#include <limits>

#include "sys/cgroup_file.hpp"
#include "tare/error.hpp"

namespace tare::memory_shrink {
namespace {

constexpr char kHigh[] = "memory.high";

// Each round must free something, so this ends anyway; a container that allocates as fast as it is
// reclaimed must not hold the caller for ever.
constexpr int kMaxRounds = 16;

std::uint64_t used_bytes(sys::FdRef directory) {
  return bytes_of(sys::read_value(directory, "memory.current").value_or("")).value_or(0);
}

}  // namespace

std::optional<std::uint64_t> bytes_of(std::string_view value) noexcept {
  std::uint64_t number = 0;
  const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (fault != std::errc{}) return std::nullopt;
  const std::string_view rest = value.substr(static_cast<std::size_t>(end - value.data()));
  unsigned shift = 0;
  if (!rest.empty() && rest != "\n") {
    const std::size_t power = std::string_view("KMGTkmgt").find(rest[0]);
    if (power == std::string_view::npos) return std::nullopt;
    shift = static_cast<unsigned>(power % 4 + 1) * 10;
  }
  if (number > std::numeric_limits<std::uint64_t>::max() >> shift) return std::nullopt;
  return number << shift;
}

Squeeze::Squeeze(sys::FdRef directory, std::uint64_t limit_bytes) : directory_(directory) {
  std::uint64_t used = used_bytes(directory);
  if (used <= limit_bytes) return;
  high_ = sys::read_value(directory, kHigh);
  const std::string target = std::to_string(limit_bytes);
  // The write reclaims by itself, and from then on slows down whoever allocates more.
  if (!high_ || sys::try_write_value(directory, kHigh, target) != 0) high_.reset();
  for (int round = 0; round < kMaxRounds; ++round) {
    const std::uint64_t before = used;
    used = used_bytes(directory);
    if (used <= limit_bytes) return;
    if (round > 0 && used >= before) break;
    // Says EAGAIN where it got less than it was asked for, and is missing before Linux 5.19.
    sys::try_write_value(directory, "memory.reclaim", std::to_string(used - limit_bytes));
  }
  restore();
  throw Error(ErrorKind::state,
              fmt::format("memory.max can't be lowered to {}: {} bytes are in use and cannot be "
                          "reclaimed",
                          limit_bytes, used),
              "a lower limit would have the kernel kill processes of the container");
}

Squeeze::~Squeeze() {
  restore();
}

void Squeeze::restore() noexcept {
  if (high_) sys::try_write_value(directory_, kHigh, *high_);
  high_.reset();
}

}  // namespace tare::memory_shrink
