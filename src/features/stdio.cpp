#include "features/stdio.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "sys/fd.hpp"
#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::stdio {
namespace {

constexpr int kStreams = 3;

bool is_null_device(const struct stat& stream) {
  return S_ISCHR(stream.st_mode) && stream.st_rdev == makedev(1, 3);
}

bool may_be_left(int number) {
  return number == EPERM || number == EINVAL || number == EROFS;
}

}  // namespace

void apply(uid_t uid) {
  for (int number = 0; number < kStreams; ++number) {
    const sys::FdRef stream(number);
    const struct stat found = sys::status(stream);
    if (found.st_uid == uid || is_null_device(found)) continue;
    try {
      sys::change_owner(stream, uid, found.st_gid);
    } catch (const Error& error) {
      if (!may_be_left(error.errno_value())) throw;
    }
  }
}

}  // namespace tare::stdio
