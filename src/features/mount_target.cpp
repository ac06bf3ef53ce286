#include "features/mount_target.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::mount_target {
namespace {

constexpr std::string_view kProc = "/proc";

constexpr std::string_view kHarmless[] = {
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
};

// Set-up makes directories for everyone to read, and files that nobody has to write: they are
// covered.
constexpr unsigned kDirectoryMode = 0755;
constexpr unsigned kFileMode = 0644;

bool same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// The text of the destination was judged by plan(); with a link on the way it says nothing.
void judge_place(const sys::Root& root, sys::FdRef place, std::string_view destination) {
  const struct stat there = sys::status(place);
  if (same(there, sys::status(root.fd()))) {
    throw Error(ErrorKind::spec,
                fmt::format("mountpoint \"{}\" is on the top of rootfs", destination));
  }
  const std::optional<sys::Fd> proc = root.find(kProc, O_PATH);
  if (sys::filesystem_type(place) == PROC_SUPER_MAGIC ||
      (proc && same(there, sys::status(*proc)))) {
    throw Error(ErrorKind::spec,
                fmt::format("\"{}\" cannot be mounted because it is inside /proc", destination));
  }
}

// The usual case, in a fraction of the calls: only the last component is missing, and no link is in
// the way. Nullopt for any other.
std::optional<sys::Fd> make_last(const sys::Root& root, std::string_view destination,
                                 bool directory) {
  const std::size_t end = destination.rfind('/');
  const std::string name(destination.substr(end + 1));
  const std::optional<sys::Fd> parent = root.find_without_links(
      end == 0 ? std::string_view("/") : destination.substr(0, end), O_PATH | O_DIRECTORY);
  if (!parent) return std::nullopt;
  const bool made = directory ? sys::make_directory(*parent, name, kDirectoryMode)
                              : sys::make_node(*parent, name, S_IFREG | kFileMode, 0);
  if (!made) return std::nullopt;
  return sys::open_at(*parent, name, O_PATH | O_NOFOLLOW);
}

}  // namespace

std::string attempt(std::string_view source, std::string_view destination) {
  return fmt::format("error mounting \"{}\" to rootfs at \"{}\"", source, destination);
}

bool is_in_proc(std::string_view destination) noexcept {
  return destination == kProc ||
         (destination.starts_with(kProc) && destination[kProc.size()] == '/');
}

bool may_cover(std::string_view destination) noexcept {
  return std::find(std::begin(kHarmless), std::end(kHarmless), destination) != std::end(kHarmless);
}

std::optional<sys::Fd> find(const sys::Root& root, std::string_view destination) {
  std::optional<sys::Fd> found = root.find_without_links(destination, O_PATH);
  if (found) return found;
  found = root.find(destination, O_PATH);
  if (found) judge_place(root, *found, destination);
  return found;
}

std::optional<sys::Fd> find_itself(const sys::Root& root, std::string_view destination) {
  constexpr int kItself = O_PATH | O_NOFOLLOW;
  std::optional<sys::Fd> found = root.find_without_links(destination, kItself);
  if (found) return found;
  found = root.find(destination, kItself);
  if (found) judge_place(root, *found, destination);
  return found;
}

void make_link(const sys::Root& root, std::string_view destination, const std::string& text) {
  std::string name;
  const sys::Fd parent = root.parent_of(destination, name);
  if (sys::make_symlink(text, parent, name)) return;
  const std::optional<struct stat> there = sys::find_status(parent, name);
  if (there && S_ISLNK(there->st_mode) && sys::read_link(parent, name) == text) return;
  throw Error(ErrorKind::spec,
              fmt::format("\"{}\" exists and is no symbolic link to \"{}\"", destination, text));
}

sys::Fd make(const sys::Root& root, std::string_view destination, bool directory) {
  if (std::optional<sys::Fd> made = make_last(root, destination, directory)) {
    return std::move(*made);
  }
  sys::Fd target = directory ? root.make_directories(destination, kDirectoryMode)
                             : root.make_file(destination, kFileMode);
  // It may lie behind a dangling link.
  if (!root.find_without_links(destination, O_PATH)) judge_place(root, target, destination);
  return target;
}

sys::Fd open_ordinary(const sys::Root& root, std::string_view destination, std::string_view type) {
  constexpr int kDirectory = O_PATH | O_DIRECTORY | O_NOFOLLOW;
  std::optional<sys::Fd> found = root.find_without_links(destination, kDirectory);
  if (found) return std::move(*found);
  // Component by component, so that a link in the way is seen before anything is made behind it.
  sys::Fd here = sys::open_at(root.fd(), ".", kDirectory);
  while (!destination.empty()) {
    destination.remove_prefix(1);
    const std::string part(destination.substr(0, destination.find('/')));
    destination.remove_prefix(part.size());
    if (!sys::make_directory(here, part, kDirectoryMode)) {
      const std::optional<struct stat> there = sys::find_status(here, part);
      if (there && !S_ISDIR(there->st_mode)) {
        throw Error(ErrorKind::spec,
                    fmt::format("filesystem \"{}\" must be mounted on ordinary directory", type));
      }
    }
    here = sys::open_at(here, part, kDirectory);
  }
  return here;
}

}  // namespace tare::mount_target
