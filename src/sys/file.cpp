#include "sys/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "sys/describe.hpp"

namespace tare::sys {
namespace {

int open_retrying(FdRef dir, const std::string& path, int flags, mode_t mode) {
  for (;;) {
    const int fd = ::openat(dir.number(), path.c_str(), flags | O_CLOEXEC | O_NOCTTY, mode);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

// How much to make room for in all, where `used` bytes are read and there is room for no more. What
// lies on a disk has a size, and all of it fits in at once, with a byte to see the end by: text
// that is moved as room grows is written to new pages each time. Files of /proc and /sys have none.
std::size_t room_after(FdRef fd, std::size_t used) {
  constexpr std::size_t kSmall = 4096;
  if (used == 0) return kSmall;
  return std::max(2 * used, static_cast<std::size_t>(status(fd).st_size) + 1);
}

}  // namespace

Fd open_at(FdRef dir, const std::string& path, int flags, mode_t mode) {
  const int fd = open_retrying(dir, path, flags, mode);
  if (fd < 0) raise(errno, "open {}{}", dir == FdRef::cwd() ? "" : describe(dir) + "/", path);
  return Fd(fd);
}

std::optional<Fd> find_at(FdRef dir, const std::string& path, int flags) {
  const int fd = open_retrying(dir, path, flags, 0);
  if (fd >= 0) return Fd(fd);
  if (errno == ENOENT) return std::nullopt;
  raise(errno, "open {}{}", dir == FdRef::cwd() ? "" : describe(dir) + "/", path);
}

std::string read_all(FdRef fd, std::size_t limit) {
  std::string bytes;
  std::size_t used = 0;
  for (;;) {
    // One byte more than the limit tells a file of exactly that size from a longer one.
    if (used == bytes.size()) bytes.resize(std::min(room_after(fd, used), limit + 1));
    const ssize_t got = ::read(fd.number(), bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) raise(errno, "read {}", describe(fd));
    used += static_cast<std::size_t>(got);
    if (used > limit) raise(EFBIG, "read {}: more than {} bytes", describe(fd), limit);
    if (got == 0) break;
  }
  bytes.resize(used);
  return bytes;
}

std::string read_file(FdRef dir, const std::string& path, std::size_t limit) {
  const Fd fd = open_at(dir, path, O_RDONLY);
  return read_all(fd, limit);
}

std::string read_start(FdRef fd, std::size_t limit) {
  std::string bytes(limit, '\0');
  std::size_t used = 0;
  while (used < limit) {
    const ssize_t got =
        ::pread(fd.number(), bytes.data() + used, limit - used, static_cast<off_t>(used));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) raise(errno, "pread {}", describe(fd));
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  bytes.resize(used);
  return bytes;
}

void write_all(FdRef fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd.number(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) raise(errno, "write {}", describe(fd));
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

void write_value(FdRef dir, const std::string& path, std::string_view bytes) {
  const Fd fd = open_at(dir, path, O_WRONLY);
  for (;;) {
    const ssize_t put = ::write(fd.number(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) raise(errno, "write \"{}\" to {}", bytes, describe(fd));
    if (static_cast<std::size_t>(put) == bytes.size()) return;
    // kernfs takes a page at most, and the rest would be another value: half of a list of CPUs,
    // say.
    throw Error(ErrorKind::system, fmt::format("write \"{}\" to {}: only {} of {} bytes were taken",
                                               bytes, describe(fd), put, bytes.size()));
  }
}

void copy_bytes(FdRef from, FdRef to) {
  // The most that one call moves; anything above is cut to it (sendfile(2)).
  constexpr std::size_t kMost = 0x7ffff000;
  for (;;) {
    const ssize_t moved = ::sendfile(to.number(), from.number(), nullptr, kMost);
    if (moved == 0) return;
    if (moved < 0 && errno != EINTR) {
      raise(errno, "sendfile {} to {}", describe(from), describe(to));
    }
  }
}

struct stat status(FdRef fd) {
  struct stat out {};
  if (::fstat(fd.number(), &out) < 0) raise(errno, "fstat {}", describe(fd));
  return out;
}

std::optional<struct stat> find_status(FdRef dir, const std::string& path) {
  struct stat out {};
  if (::fstatat(dir.number(), path.c_str(), &out, AT_SYMLINK_NOFOLLOW) == 0) return out;
  if (errno == ENOENT) return std::nullopt;
  raise(errno, "stat {}/{}", describe(dir), path);
}

long filesystem_type(FdRef fd) {
  struct statfs out {};
  if (::fstatfs(fd.number(), &out) < 0) raise(errno, "fstatfs {}", describe(fd));
  return out.f_type;
}

bool make_directory(FdRef dir, const std::string& path, mode_t mode) {
  if (::mkdirat(dir.number(), path.c_str(), mode) == 0) return true;
  if (errno == EEXIST) return false;
  raise(errno, "mkdir {}/{}", describe(dir), path);
}

bool remove_file(FdRef dir, const std::string& path) {
  if (::unlinkat(dir.number(), path.c_str(), 0) == 0) return true;
  if (errno == ENOENT) return false;
  raise(errno, "unlink {}/{}", describe(dir), path);
}

bool remove_directory(FdRef dir, const std::string& path) {
  if (::unlinkat(dir.number(), path.c_str(), AT_REMOVEDIR) == 0) return true;
  if (errno == ENOENT) return false;
  raise(errno, "rmdir {}/{}", describe(dir), path);
}

void rename_file(FdRef dir, const std::string& from, const std::string& to, unsigned flags) {
  if (::renameat2(dir.number(), from.c_str(), dir.number(), to.c_str(), flags) < 0) {
    raise(errno, "rename {}/{} to {}", describe(dir), from, to);
  }
}

bool make_symlink(const std::string& target, FdRef dir, const std::string& path) {
  if (::symlinkat(target.c_str(), dir.number(), path.c_str()) == 0) return true;
  if (errno == EEXIST) return false;
  raise(errno, "symlink {}/{} to {}", describe(dir), path, target);
}

bool make_node(FdRef dir, const std::string& path, mode_t mode, dev_t device) {
  if (::mknodat(dir.number(), path.c_str(), mode, device) == 0) return true;
  if (errno == EEXIST) return false;
  raise(errno, "mknod {}/{}", describe(dir), path);
}

std::string read_link(FdRef dir, const std::string& path) {
  std::array<char, 4096> target{};
  const ssize_t length = ::readlinkat(dir.number(), path.c_str(), target.data(), target.size());
  if (length < 0) raise(errno, "readlink {}/{}", describe(dir), path);
  return {target.data(), static_cast<std::size_t>(length)};
}

void change_mode(FdRef fd, mode_t mode) {
  if (::fchmod(fd.number(), mode) == 0) return;
  // An O_PATH descriptor has no fchmod; fchmodat2 (Linux 6.6) takes it by AT_EMPTY_PATH. Before
  // that, procfs is the only way, and it is ours: nothing of a container's is mounted there yet.
  constexpr long kFchmodat2 = 452;
  if (errno == EBADF && ::syscall(kFchmodat2, fd.number(), "", mode, AT_EMPTY_PATH) == 0) return;
  const std::string link = fmt::format("/proc/self/fd/{}", fd.number());
  if (errno == ENOSYS && ::chmod(link.c_str(), mode) == 0) return;
  raise(errno, "chmod {} {:o}", describe(fd), mode);
}

void change_owner(FdRef fd, uid_t uid, gid_t gid) {
  if (::fchownat(fd.number(), "", uid, gid, AT_EMPTY_PATH) < 0) {
    raise(errno, "chown {} {}:{}", describe(fd), uid, gid);
  }
}

void set_extended_attribute(FdRef fd, const std::string& name, std::string_view value) {
  if (::fsetxattr(fd.number(), name.c_str(), value.data(), value.size(), 0) < 0) {
    raise(errno, "fsetxattr {} {}={}", describe(fd), name, value);
  }
}

Fd reopen(FdRef fd, int flags) {
  return open_at(FdRef::cwd(), fmt::format("/proc/self/fd/{}", fd.number()), flags);
}

std::vector<std::string> list_directory(FdRef dir) {
  Fd own = open_at(dir, ".", O_RDONLY | O_DIRECTORY);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.number()), &::closedir);
  if (stream == nullptr) raise(errno, "opendir {}", describe(dir));
  (void)own.release();  // the stream owns it now
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) {
      names.emplace_back(entry->d_name);
    }
  }
  if (errno != 0) raise(errno, "readdir {}", describe(dir));
  return names;
}

std::string current_directory() {
  std::array<char, 4096> path{};
  const long length = ::syscall(SYS_getcwd, path.data(), path.size());
  if (length < 0) raise(errno, "getcwd");
  // The kernel's own call answers "(unreachable)/…" for a directory outside the root:
  // CVE-2024-21626 was a working directory there.
  if (path[0] != '/') raise(ENOENT, "getcwd: {}", path.data());
  return path.data();
}

void change_directory(FdRef dir) {
  if (::fchdir(dir.number()) < 0) raise(errno, "fchdir {}", describe(dir));
}

}  // namespace tare::sys
