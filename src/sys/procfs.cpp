#include "sys/procfs.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <unistd.h>

#include <cerrno>

#include "sys/describe.hpp"
#include "sys/file.hpp"
#include "sys/path.hpp"

namespace tare::sys {
namespace {

constexpr ino_t kRootInode = 1;  // PROC_ROOT_INO, include/linux/proc_fs.h

std::string shown(const std::string& name) {
  return fmt::format("`/proc/thread-self/attr/{}`", name);
}

}  // namespace

Fd open_procfs() {
  Fd root = open_at(FdRef::cwd(), "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW);
  // A directory of some procfs, bound there, has its type as well.
  if (filesystem_type(root) == PROC_SUPER_MAGIC && status(root).st_ino == kRootInode) return root;
  raise(ENOTSUP, "open /proc: not the root of a procfs");
}

bool write_own_attribute(FdRef procfs, const std::string& name, std::string_view value) {
  // The link is read, not followed: on the way from here on nothing may be one.
  const std::string thread = read_link(procfs, "thread-self");
  Fd file;
  try {
    file = open_beneath(procfs, fmt::format("{}/attr/{}", thread, name), O_WRONLY);
  } catch (const Error& error) {
    if (error.errno_value() == ENOENT) return false;
    raise(error.errno_value(), "open {}", shown(name));
  }
  ssize_t put = -1;
  while ((put = ::write(file.number(), value.data(), value.size())) < 0) {
    if (errno != EINTR) raise(errno, "write {}", shown(name));
  }
  // The kernel cuts what is longer than a page, and would set another label than the one asked for.
  if (static_cast<std::size_t>(put) != value.size()) raise(EMSGSIZE, "write {}", shown(name));
  return true;
}

}  // namespace tare::sys
