#include "sys/cgroup_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "sys/deadline.hpp"
#include "sys/describe.hpp"
#include "sys/file.hpp"

namespace tare::sys {
namespace {

// cgroup.procs of a cgroup with every pid that a kernel can have (2^22, eight characters each).
constexpr std::size_t kValueLimit = 32U << 20U;

// A read stops early only where the next line does not fit in a page (seq_file), and no line of a
// list is longer than this leaves room for: less than that was everything, and one call is enough.
constexpr std::size_t kSurelyAll = 4096 - 128;

bool is_gone(int number) noexcept {
  return number == ENOENT || number == ENODEV || number == EOPNOTSUPP;
}

Fd open_quietly(FdRef dir, const std::string& path, int flags) noexcept {
  for (;;) {
    Fd fd(::openat(dir.number(), path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
    if (fd || errno != EINTR) return fd;
  }
}

}  // namespace

int try_write_value(FdRef dir, const std::string& path, std::string_view value) noexcept {
  const Fd file = open_quietly(dir, path, O_WRONLY);
  if (!file) return errno;
  for (;;) {
    if (::write(file.number(), value.data(), value.size()) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

std::optional<Fd> find_file(FdRef dir, const std::string& path) {
  Fd file = open_quietly(dir, path, O_RDONLY);
  if (file) return file;
  if (is_gone(errno)) return std::nullopt;
  raise(errno, "open {}{}", dir == FdRef::cwd() ? "" : describe(dir) + "/", path);
}

std::optional<std::string> read_value(FdRef dir, const std::string& path) {
  const std::optional<Fd> file = find_file(dir, path);
  if (!file) return std::nullopt;
  return read_value(*file);
}

std::optional<std::string> read_value(FdRef file) {
  std::string bytes;
  std::size_t used = 0;
  for (;;) {
    bytes.resize(used + std::max<std::size_t>(used, 4096));
    const std::size_t room = bytes.size() - used;
    const ssize_t got = ::pread(file.number(), bytes.data() + used, room, static_cast<off_t>(used));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && is_gone(errno)) return std::nullopt;
    if (got < 0) raise(errno, "read {}", describe(file));
    used += static_cast<std::size_t>(got);
    if (used > kValueLimit)
      raise(EFBIG, "read {}: more than {} bytes", describe(file), kValueLimit);
    if (got == 0 || used <= kSurelyAll) break;
  }
  bytes.resize(used);
  return bytes;
}

bool await_change(FdRef file, int timeout_ms) {
  const Deadline deadline(timeout_ms);
  pollfd wanted{.fd = file.number(), .events = POLLPRI, .revents = 0};
  for (;;) {
    const int ready = ::poll(&wanted, 1, deadline.left_ms());
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) raise(errno, "poll {}", describe(file));
  }
}

std::optional<Fd> find_directory(FdRef dir, const std::string& path) {
  Fd found = open_quietly(dir, path, O_RDONLY | O_DIRECTORY);
  if (found) return found;
  if (is_gone(errno)) return std::nullopt;
  raise(errno, "open {}{}", dir == FdRef::cwd() ? "" : describe(dir) + "/", path);
}

std::vector<std::string> list_directories(FdRef dir) {
  // kernfs counts the directories in a directory in its links, so most cgroups, which have none,
  // cost one fstat instead of a listing of their forty files.
  if (status(dir).st_nlink == 2) return {};
  Fd own = open_at(dir, ".", O_RDONLY | O_DIRECTORY);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.number()), &::closedir);
  if (stream == nullptr) raise(errno, "opendir {}", describe(dir));
  (void)own.release();  // the stream owns it now
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0 && !is_gone(errno)) raise(errno, "readdir {}", describe(dir));
  return names;
}

int try_remove_directory(FdRef dir, const std::string& path) noexcept {
  return ::unlinkat(dir.number(), path.c_str(), AT_REMOVEDIR) == 0 ? 0 : errno;
}

int try_make_directory(const std::string& path, unsigned mode) noexcept {
  return ::mkdir(path.c_str(), mode) == 0 ? 0 : errno;
}

}  // namespace tare::sys
