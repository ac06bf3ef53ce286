#include "features/stdio.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "sys/fd.hpp"
#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::stdio {
namespace {

constexpr int kStreams = 3;

bool is_null_device(const struct stat& stream) {
  return S_ISCHR(stream.st_mode) && stream.st_rdev == makedev(1, 3);
}

// The container's own, if it has one. Whatever else has the name there must neither be followed nor
// hold us up, and is not taken.
sys::Fd find_own_null() {
  try {
    std::optional<sys::Fd> own = sys::find_at(sys::FdRef::cwd(), "/dev/null", O_RDWR | O_NOFOLLOW);
    if (own && is_null_device(sys::status(*own))) return std::move(*own);
  } catch (const Error&) {
    // The rules of its cgroup, say, forbid it.
    return sys::Fd();
  }
  return sys::Fd();
}

bool may_be_left(int number) {
  return number == EPERM || number == EINVAL || number == EROFS;
}

}  // namespace

void apply(uid_t uid) {
  // All of them before a file of ours is opened, which would get the number of one that is closed.
  std::array<struct stat, kStreams> streams{};
  for (int number = 0; number < kStreams; ++number) {
    streams.at(static_cast<std::size_t>(number)) = sys::status(sys::FdRef(number));
  }
  std::optional<sys::Fd> null;
  for (int number = 0; number < kStreams; ++number) {
    const sys::FdRef stream(number);
    const struct stat& found = streams.at(static_cast<std::size_t>(number));
    if (is_null_device(found)) {
      if (!null) null = find_own_null();
      if (*null) sys::place(*null, number);
      continue;
    }
    if (found.st_uid == uid) continue;
    try {
      sys::change_owner(stream, uid, found.st_gid);
    } catch (const Error& error) {
      if (!may_be_left(error.errno_value())) throw;
    }
  }
}

}  // namespace tare::stdio
