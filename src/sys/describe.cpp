#include "sys/describe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace tare::sys {

std::string describe(FdRef fd) {
  if (fd == FdRef::cwd()) return "[cwd]";
  // Our own procfs view is good enough here: the text is for a person and decides nothing.
  std::array<char, 4096> target{};
  const std::string link = fmt::format("/proc/self/fd/{}", fd.number());
  // An errno is often an argument of the same call as this text, in whatever order they are
  // evaluated; in a container without procfs, readlink fails.
  const int kept = errno;
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  errno = kept;
  if (length < 0) return fmt::format("[{}]", fd.number());
  return fmt::format("[{}]<{}>", fd.number(),
                     std::string_view(target.data(), static_cast<std::size_t>(length)));
}

std::string describe_flags(std::uint64_t flags, std::span<const FlagName> names) {
  std::string text;
  for (const FlagName& flag : names) {
    if ((flags & flag.bit) == 0) continue;
    if (!text.empty()) text += '|';
    text += flag.name;
    flags &= ~flag.bit;
  }
  if (flags != 0 || text.empty()) text += fmt::format("{}{:#x}", text.empty() ? "" : "|", flags);
  return text;
}

}  // namespace tare::sys
