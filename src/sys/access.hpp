/// What this process may do with a path as it stands: links are followed, in the root that it has.
/// Used by init once "/" is the container's; before that, paths of a container go through
/// sys::Root.
#pragma once

#include <sys/stat.h>

#include <string>

#include "sys/fd.hpp"

namespace tare::sys {

/// stat(2), in Go's words. Throws Error(system) "stat PATH: no such file or directory".
struct stat status_of(const std::string& path);

/// Whether this process, by its effective ids, may execute (or, a directory, search) `path`: 0, or
/// the errno that says why not.
int check_executable(const std::string& path) noexcept;

/// Whether the mount that `fd` lies on has MS_NOEXEC. Throws Error(system).
bool forbids_execution(FdRef fd);

/// chdir(2). Throws Error(system).
void change_directory_to(const std::string& path);

/// The machine that the kernel runs on, "x86_64" (uname(2)).
std::string machine();

}  // namespace tare::sys
