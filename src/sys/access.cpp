#include "sys/access.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "sys/describe.hpp"

namespace tare::sys {

struct stat status_of(const std::string& path) {
  struct stat out {};
  if (::stat(path.c_str(), &out) < 0) raise(errno, "stat {}", path);
  return out;
}

// AT_EACCESS: by the effective ids, as execve will; access(2) asks for the real ones.
int check_executable(const std::string& path) noexcept {
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

bool forbids_execution(FdRef fd) {
  struct statfs out {};
  if (::fstatfs(fd.number(), &out) < 0) raise(errno, "fstatfs {}", describe(fd));
  // f_flags carries the ST_* bits of statvfs(3) (statfs(2)).
  return (static_cast<unsigned long>(out.f_flags) & ST_NOEXEC) != 0;
}

void change_directory_to(const std::string& path) {
  if (::chdir(path.c_str()) < 0) raise(errno, "chdir {}", path);
}

std::string machine() {
  utsname names{};
  if (::uname(&names) < 0) raise(errno, "uname");
  return names.machine;
}

}  // namespace tare::sys
