#include "sys/path.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "sys/describe.hpp"
#include "sys/file.hpp"

namespace tare::sys {
namespace {

// openat2 gives EAGAIN when a rename or mount elsewhere raced with the walk; libpathrs measured that
// 128 tries get through a machine that renames in a tight loop. A bound keeps an attacker from
// holding us here.
constexpr int kMaxTries = 128;
// The kernel's own limit on links in one walk (include/linux/namei.h, MAXSYMLINKS).
constexpr int kMaxLinks = 40;

int open_resolved(FdRef dir, const std::string& path, open_how how) {
  how.flags |= O_CLOEXEC;
  for (int tries = 0;;) {
    const long fd = ::syscall(SYS_openat2, dir.number(), path.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != EINTR && (errno != EAGAIN || ++tries == kMaxTries)) return -1;
  }
}

int open_in_root(FdRef root, const std::string& inside, int flags, unsigned mode,
                 unsigned resolve = 0) {
  struct open_how how {};
  how.flags = static_cast<unsigned>(flags);
  how.mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve;
  return open_resolved(root, inside, how);
}

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.emplace_back(part);
    }
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

std::string directory_of(const std::string& path) {
  return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
}

// Where a dangling link `name` in `parent` leads, as a path inside the root.
std::string link_target(FdRef root, const std::string& parent, const std::string& name) {
  const int fd = open_in_root(root, parent, O_PATH | O_DIRECTORY, 0);
  if (fd < 0) raise(errno, "open {} in {}", parent, describe(root));
  const Fd directory(fd);
  const std::string target = read_link(directory, name);
  return clean_path(target.starts_with('/') ? target : parent + "/" + target);
}

}  // namespace

std::string clean_path(std::string_view path) {
  std::string clean;
  for (const std::string& part : split(path)) clean += "/" + part;
  return clean.empty() ? "/" : clean;
}

Fd open_beneath(FdRef dir, const std::string& path, int flags) {
  struct open_how how {};
  how.flags = static_cast<unsigned>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  const int fd = open_resolved(dir, path, how);
  if (fd < 0) raise(errno, "open {} beneath {}", path, describe(dir));
  return Fd(fd);
}

Fd Root::open(std::string_view inside, int flags, unsigned mode) const {
  const std::string path(inside);
  const int fd = open_in_root(directory_, path, flags, mode);
  if (fd < 0) raise(errno, "open {} in {}", path, describe(directory_));
  return Fd(fd);
}

std::optional<Fd> Root::find(std::string_view inside, int flags) const {
  const std::string path(inside);
  const int fd = open_in_root(directory_, path, flags, 0);
  if (fd >= 0) return Fd(fd);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  raise(errno, "open {} in {}", path, describe(directory_));
}

std::optional<Fd> Root::find_without_links(std::string_view inside, int flags) const {
  const std::string path(inside);
  const int fd = open_in_root(directory_, path, flags, 0, RESOLVE_NO_SYMLINKS);
  if (fd >= 0) return Fd(fd);
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::nullopt;
  raise(errno, "open {} in {}", path, describe(directory_));
}

Fd Root::make_directories(std::string_view inside, unsigned mode) const {
  std::string wanted = clean_path(inside);
  for (int links = 0; links <= kMaxLinks; ++links) {
    const int whole = open_in_root(directory_, wanted, O_PATH | O_DIRECTORY, 0);
    if (whole >= 0) return Fd(whole);
    if (errno != ENOENT) raise(errno, "open {} in {}", wanted, describe(directory_));

    std::string here;
    std::string dangling;
    for (const std::string& part : split(wanted)) {
      const std::string next = here + "/" + part;
      if (dangling.empty()) {
        const Fd parent = open(here.empty() ? "/" : here, O_PATH | O_DIRECTORY);
        const bool made = make_directory(parent, part, mode);
        // What exists but does not open is a link to nothing: carry on where it points.
        if (!made && !find(next, O_PATH | O_DIRECTORY)) {
          dangling = link_target(directory_, here.empty() ? "/" : here, part);
        }
      } else {
        dangling += "/" + part;
      }
      here = next;
    }
    if (!dangling.empty()) wanted = clean_path(dangling);
  }
  raise(ELOOP, "mkdir {} in {}", inside, describe(directory_));
}

Fd Root::parent_of(std::string_view inside, std::string& name) const {
  const std::string path = clean_path(inside);
  name = path.substr(path.rfind('/') + 1);
  return make_directories(directory_of(path), 0755);
}

Fd Root::make_file(std::string_view inside, unsigned mode) const {
  std::string wanted = clean_path(inside);
  for (int links = 0; links <= kMaxLinks; ++links) {
    if (std::optional<Fd> existing = find(wanted, O_PATH)) return std::move(*existing);
    std::string name;
    const Fd parent = parent_of(wanted, name);
    // mknod makes a regular file without opening it, and never follows a link in its last component.
    if (make_node(parent, name, S_IFREG | mode, 0)) return open_at(parent, name, O_PATH | O_NOFOLLOW);
    const std::optional<struct stat> there = find_status(parent, name);
    if (there && !S_ISLNK(there->st_mode)) return open_at(parent, name, O_PATH | O_NOFOLLOW);
    if (there) wanted = link_target(directory_, directory_of(wanted), name);
  }
  raise(ELOOP, "create {} in {}", inside, describe(directory_));
}

}  // namespace tare::sys
