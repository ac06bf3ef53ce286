/// Turns what a system call was given into what a person can read. Used only where an error is
/// made, so it may cost.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sys/fd.hpp"
#include "tare/error.hpp"

namespace tare::sys {

/// "[7]</run/b/rootfs>" or "[cwd]": the descriptor and the path that it names now.
std::string describe(FdRef fd);

/// One named bit of a flag word.
struct FlagName {
  std::uint64_t bit;
  std::string_view name;
};

/// "MS_BIND|MS_REC|0x40": the names of the bits that are set, and the rest as a number.
std::string describe_flags(std::uint64_t flags, std::span<const FlagName> names);

/// Throws Error::from_errno(number, formatted call), with the hint for this failure where there is
/// one.
template <typename... Args>
[[noreturn]] void raise(int number, fmt::format_string<Args...> call, Args&&... args) {
  throw Error::from_errno(number, fmt::format(call, std::forward<Args>(args)...));
}

}  // namespace tare::sys
