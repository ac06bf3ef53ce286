#include "sys/namespace.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>

#include "sys/describe.hpp"
#include "sys/file.hpp"

namespace tare::sys {
namespace {

constexpr long kNsfsMagic = 0x6e736673;  // NSFS_MAGIC, linux/magic.h

}  // namespace

std::optional<Fd> open_namespace(const std::string& path) {
  const Fd seen = open_at(FdRef::cwd(), path, O_PATH);
  if (filesystem_type(seen) != kNsfsMagic) return std::nullopt;
  // Opened again through the descriptor, so what was looked at is what is opened.
  return reopen(seen, O_RDONLY | O_NONBLOCK);
}

std::uint64_t namespace_type(FdRef file) {
  const int type = ::ioctl(file.number(), NS_GET_NSTYPE);
  if (type < 0) raise(errno, "ioctl({}, NS_GET_NSTYPE)", describe(file));
  return static_cast<std::uint64_t>(type);
}

bool is_own_namespace(FdRef file, const std::string& kind) {
  const std::string path = "/proc/self/ns/" + kind;
  struct stat own {};
  if (::stat(path.c_str(), &own) < 0) raise(errno, "stat {}", path);
  const struct stat other = status(file);
  return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

}  // namespace tare::sys
