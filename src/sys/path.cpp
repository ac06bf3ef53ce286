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

// openat2 gives EAGAIN when a rename or mount elsewhere raced with the walk; libpathrs measured
// that 128 tries get through a machine that renames in a tight loop. A bound keeps an attacker from
// holding us here.
constexpr int kMaxTries = 128;
// The kernel's own limit on links in one walk (include/linux/namei.h, MAXSYMLINKS).
constexpr int kMaxLinks = 40;
constexpr unsigned kParentMode = 0755;

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

// Takes the next component off a path, past empty ones and "."; empty at its end.
std::string_view take_component(std::string_view& path) {
  std::string_view part;
  while (!path.empty() && (part.empty() || part == ".")) {
    const std::size_t end = std::min(path.find('/'), path.size());
    part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return part == "." ? std::string_view() : part;
}

// The components of a path, without empty ones and ".".
std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> parts;
  for (std::string_view part = take_component(path); !part.empty(); part = take_component(path)) {
    parts.emplace_back(part);
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string path;
  for (const std::string& part : parts) path += "/" + part;
  return path.empty() ? "/" : path;
}

std::string directory_of(const std::string& path) {
  return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
}

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// Where a link in `parent` leads, as a path inside the root. Its ".." stay: what they mean depends
// on the links before them, so the kernel has to say.
std::string followed(const std::string& parent, const std::string& target) {
  return joined(components(target.starts_with('/') ? target : parent + "/" + target));
}

// Makes what is missing of `wanted`, up to a link that leads to nothing. Gives the path on which to
// go on then, with that link followed; nullopt where no link was in the way.
std::optional<std::string> make_until_dangling(const Root& root, const std::string& wanted,
                                               unsigned mode) {
  const std::vector<std::string> parts = components(wanted);
  std::string here;
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    const std::string parent = here.empty() ? "/" : here;
    here += "/" + *part;
    const Fd directory = root.open(parent, O_PATH | O_DIRECTORY);
    if (make_directory(directory, *part, mode) || root.find(here, O_PATH | O_DIRECTORY)) continue;
    const std::string rest = joined({part + 1, parts.end()});
    return followed(parent, read_link(directory, *part) + rest);
  }
  return std::nullopt;
}

// make_directories() for a path whose ".." are the kernel's to follow.
Fd make_all(const Root& root, std::string wanted, unsigned mode) {
  const std::string asked = wanted;
  // One round more than there may be links: it opens what the round before has made.
  for (int round = 0; round <= kMaxLinks + 1; ++round) {
    const int whole = open_in_root(root.fd(), wanted, O_PATH | O_DIRECTORY, 0);
    if (whole >= 0) return Fd(whole);
    if (errno != ENOENT) raise(errno, "open {} in {}", wanted, describe(root.fd()));
    wanted = make_until_dangling(root, wanted, mode).value_or(wanted);
  }
  raise(ELOOP, "mkdir {} in {}", asked, describe(root.fd()));
}

}  // namespace

std::string clean_path(std::string_view path) {
  std::string clean;
  clean.reserve(path.size() + 1);
  for (std::string_view part = take_component(path); !part.empty(); part = take_component(path)) {
    if (part == "..") {
      clean.resize(clean.empty() ? 0 : clean.rfind('/'));
    } else {
      (clean += '/') += part;
    }
  }
  if (clean.empty()) clean = '/';
  return clean;
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
  return make_all(*this, clean_path(inside), mode);
}

Fd Root::parent_of(std::string_view inside, std::string& name) const {
  const std::string path = clean_path(inside);
  name = name_of(path);
  return make_directories(directory_of(path), kParentMode);
}

Fd Root::make_file(std::string_view inside, unsigned mode) const {
  std::string wanted = clean_path(inside);
  for (int links = 0; links <= kMaxLinks; ++links) {
    if (std::optional<Fd> existing = find(wanted, O_PATH)) return std::move(*existing);
    const std::string name = name_of(wanted);
    // A link to "missing/..": no name for a file, and not one to give to openat(2), which knows no
    // root.
    if (name == "..") return make_all(*this, wanted, kParentMode);
    const Fd parent = make_all(*this, directory_of(wanted), kParentMode);
    // mknod makes a regular file without opening it, and never follows a link in its last
    // component.
    if (make_node(parent, name, S_IFREG | mode, 0))
      return open_at(parent, name, O_PATH | O_NOFOLLOW);
    const std::optional<struct stat> there = find_status(parent, name);
    if (there && !S_ISLNK(there->st_mode)) return open_at(parent, name, O_PATH | O_NOFOLLOW);
    if (there) wanted = followed(directory_of(wanted), read_link(parent, name));
  }
  raise(ELOOP, "create {} in {}", inside, describe(directory_));
}

}  // namespace tare::sys
