/// Where a mount goes: found or made within the container's root, and never on procfs but where
/// that is harmless. Used by mounts in init, for one mount at a time.
#pragma once

#include <optional>
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

/// What `destination` names within the root, O_PATH; nullopt when there is nothing. What only a
/// symbolic link leads to must not be the root, /proc, or anything in a procfs. Throws Error(spec
/// or system).
std::optional<sys::Fd> find(const sys::Root& root, std::string_view destination);

/// As find(), but a symbolic link that the last component is, is given itself. Throws as find().
std::optional<sys::Fd> find_itself(const sys::Root& root, std::string_view destination);

/// A symbolic link to `text` at the destination, its parents made where missing. Throws
/// Error(spec) where something else is there, and Error(system).
void make_link(const sys::Root& root, std::string_view destination, const std::string& text);

/// Makes the directory or empty file that find() did not find, with its parents, and gives it,
/// O_PATH; a dangling link is made good under the same conditions. Throws Error(spec or system).
sys::Fd make(const sys::Root& root, std::string_view destination, bool directory);

/// A directory that no symbolic link leads to, for procfs and sysfs (CVE-2019-19921,
/// CVE-2023-27561); made where missing. Throws Error(spec) "filesystem \"proc\" must be mounted on
/// ordinary directory".
sys::Fd open_ordinary(const sys::Root& root, std::string_view destination, std::string_view type);

}  // namespace tare::mount_target
