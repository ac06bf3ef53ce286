/// Where a mount goes: found or made within the container's root, and never on procfs but where
/// that is harmless. Used by mounts in init, for one mount at a time.
#pragma once

#include <string>
#include <string_view>

#include "sys/fd.hpp"
#include "sys/path.hpp"

namespace tare::mount_target {

/// "error mounting \"SOURCE\" to rootfs at \"DESTINATION\"": what callers look for in a message.
std::string attempt(std::string_view source, std::string_view destination);

/// True for /proc and everything below it.
bool is_in_proc(std::string_view destination) noexcept;

/// True for the files of procfs that may be covered: the ones that container runtimes have always
/// let lxcfs and the like emulate, none of which is a control of the kernel's.
bool may_cover(std::string_view destination) noexcept;

struct Target {
  sys::Fd fd{};          ///< O_PATH
  bool existed = false;  ///< was there before
};

/// What `destination` names within the root; a missing directory or empty file is made. What only a
/// symbolic link leads to must not be the root, /proc, or anything in a procfs.
/// Throws Error(spec or system).
Target open(const sys::Root& root, std::string_view destination, bool directory);

/// Removes the directory that open() made, for a mount that failed after all; what is not empty, or not
/// a directory, stays. The parents stay too: others may use them by now.
void withdraw(const sys::Root& root, std::string_view destination) noexcept;

/// A directory that no symbolic link leads to, for procfs and sysfs (CVE-2019-19921,
/// CVE-2023-27561); made where missing. Throws Error(spec) "filesystem \"proc\" must be mounted on
/// ordinary directory".
sys::Fd open_ordinary(const sys::Root& root, std::string_view destination, std::string_view type);

}  // namespace tare::mount_target
