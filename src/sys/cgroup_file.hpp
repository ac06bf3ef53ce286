/// Files and directories of cgroupfs, which may vanish at any moment: their absence is an answer
/// here and no error. Everything is relative to a descriptor, since names below a container's
/// cgroup may be of the container's making.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace tare::sys {

/// Writes one value with one write(2). Gives 0, or the errno of open or write for the caller to
/// judge.
int try_write_value(FdRef dir, const std::string& path, std::string_view value) noexcept;

/// What is in a file of a cgroup, read anew each time; nullopt when the file or its cgroup is gone
/// (ENOENT, ENODEV), or has no meaning in a threaded cgroup (EOPNOTSUPP). Throws Error(system).
std::optional<std::string> read_value(FdRef dir, const std::string& path);

/// A file of a cgroup, opened for reading; nullopt as for read_value. Throws Error(system).
std::optional<Fd> find_file(FdRef dir, const std::string& path);

/// As read_value, of a file that is open already, from its start.
std::optional<std::string> read_value(FdRef file);

/// Waits until the kernel says that a file such as cgroup.events has changed since it was last
/// read; false after `timeout_ms`. Throws Error(system).
bool await_change(FdRef file, int timeout_ms);

/// A directory below `dir`, opened for reading; nullopt when it is gone. Links are not followed.
/// Throws Error(system), for anything that is no directory too.
std::optional<Fd> find_directory(FdRef dir, const std::string& path);

/// The names of the directories in `dir`, in no order.
std::vector<std::string> list_directories(FdRef dir);

/// rmdir(2): 0, or the errno for the caller to judge.
int try_remove_directory(FdRef dir, const std::string& path) noexcept;

/// mkdir(2): 0, or the errno for the caller to judge.
int try_make_directory(const std::string& path, unsigned mode) noexcept;

}  // namespace tare::sys
