/// A memory limit below what is used: the kernel would kill until it holds. What can be reclaimed
/// is reclaimed first (cgroup-v2.rst, "memory.high", "memory.reclaim"), and a limit that still
/// cannot be kept is refused. In the parent, at `update`; the specification has no word about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.hpp"

namespace tare::memory_shrink {

/// Bytes of a value for memory.max as the kernel reads it ("512M"); nullopt for "max" and for what
/// is no number.
std::optional<std::uint64_t> bytes_of(std::string_view value) noexcept;

/// Holds a cgroup's memory down, through memory.high, as long as it lives: memory.max is written
/// meanwhile.
class Squeeze {
 public:
  /// Nothing happens where no more than `limit_bytes` are used. Throws Error(state) where more
  /// stays in use. `directory` must outlive this.
  Squeeze(sys::FdRef directory, std::uint64_t limit_bytes);
  /// memory.high is again what it was.
  ~Squeeze();
  Squeeze(const Squeeze&) = delete;
  Squeeze& operator=(const Squeeze&) = delete;

 private:
  void restore() noexcept;

  sys::FdRef directory_;
  std::optional<std::string> high_{};  // as it was; empty while nothing was changed
};

}  // namespace tare::memory_shrink
