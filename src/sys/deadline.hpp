/// The moment at which waiting ends, for waits in several steps. Any process; steady_clock, which
/// is CLOCK_MONOTONIC: setting the machine's clock changes nothing.
#pragma once

#include <algorithm>
#include <chrono>

namespace tare::sys {

class Deadline {
 public:
  /// `timeout_ms` milliseconds from now.
  explicit Deadline(int timeout_ms) : at_(Clock::now() + std::chrono::milliseconds(timeout_ms)) {}

  /// Milliseconds until then, as poll(2) takes them; 0 when it has passed.
  int left_ms() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()).count();
    return static_cast<int>(std::max<long>(left, 0));
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point at_;
};

}  // namespace tare::sys
