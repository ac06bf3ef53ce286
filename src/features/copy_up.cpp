#include "features/copy_up.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "sys/describe.hpp"
#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::copy_up {
namespace {

constexpr mode_t kPermissions = 07777;

// A new file is its maker's; giving it to itself would only cost a call.
void copy_owner(sys::FdRef copy, const struct stat& original) {
  const struct stat made = sys::status(copy);
  if (made.st_uid == original.st_uid && made.st_gid == original.st_gid) return;
  sys::change_owner(copy, original.st_uid, original.st_gid);
}

// The owner first: changing it takes set-user-ID away from the mode (chown(2)).
void copy_owner_and_mode(sys::FdRef copy, const struct stat& original) {
  copy_owner(copy, original);
  sys::change_mode(copy, original.st_mode & kPermissions);
}

void copy_file(sys::FdRef from, const std::string& name, sys::FdRef to) {
  // Somebody with the same volume may have put a FIFO in the file's place since it was looked at.
  const sys::Fd source = sys::open_at(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const struct stat original = sys::status(source);
  if (!S_ISREG(original.st_mode)) sys::raise(EINVAL, "copy {}", sys::describe(source));
  const sys::Fd copy = sys::open_at(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  sys::copy_bytes(source, copy);
  copy_owner_and_mode(copy, original);
}

void copy_directory(sys::FdRef from, const std::string& name, sys::FdRef to) {
  constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  const sys::Fd source = sys::open_at(from, name, kDirectory);
  sys::make_directory(to, name, 0700);
  const sys::Fd copy = sys::open_at(to, name, kDirectory);
  copy_tree(source, copy);
  copy_owner_and_mode(copy, sys::status(source));
}

void copy_link(sys::FdRef from, const std::string& name, sys::FdRef to,
               const struct stat& original) {
  sys::make_symlink(sys::read_link(from, name), to, name);
  const sys::Fd copy = sys::open_at(to, name, O_PATH | O_NOFOLLOW);
  copy_owner(copy, original);
}

void copy_node(const std::string& name, sys::FdRef to, const struct stat& original) {
  sys::make_node(to, name, original.st_mode, original.st_rdev);
  const sys::Fd copy = sys::open_at(to, name, O_PATH | O_NOFOLLOW);
  copy_owner_and_mode(copy, original);
}

}  // namespace

void copy_tree(sys::FdRef from, sys::FdRef to) {
  for (const std::string& name : sys::list_directory(from)) {
    const std::optional<struct stat> original = sys::find_status(from, name);
    if (!original || S_ISSOCK(original->st_mode)) continue;
    if (S_ISDIR(original->st_mode)) {
      copy_directory(from, name, to);
    } else if (S_ISREG(original->st_mode)) {
      copy_file(from, name, to);
    } else if (S_ISLNK(original->st_mode)) {
      copy_link(from, name, to, *original);
    } else {
      copy_node(name, to, *original);
    }
  }
}

}  // namespace tare::copy_up
