/// Children in namespaces of their own, for tests of what is done to a machine: whatever they mount
/// or make is gone with them. They answer with a text, since an assertion that fails in a child is
/// lost.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "sys/fd.hpp"

namespace tare::test {

/// A directory that every machine has and no test of ours needs: a fresh tmpfs is put on it.
inline constexpr std::string_view kScratch = "/mnt";

/// Runs `body` in a child with the given CLONE_NEW* and gives its answer, or "error: …" for an
/// Error. With CLONE_NEWUSER it is root there, as 100000 outside, with 65536 ids.
std::string in_child(std::uint64_t namespaces, const std::function<std::string()>& body);

/// As in_child, for a machine to spoil: mounts of its own, all shared as systemd has them but in a
/// group of its own, and an empty tmpfs on kScratch.
std::string on_machine(const std::function<std::string()>& body);

/// Makes a file with this text, with its directories.
void write(const std::string& path, std::string_view text = {});
/// The whole text of a file.
std::string read(const std::string& path);
/// mount(2). Throws std::runtime_error.
void mount(const std::string& source, const std::string& target, const char* type,
           unsigned long flags, const char* data = nullptr);

/// What is mounted on a path, as mountinfo of the current process tells it.
struct Mounted {
  int count = 0;          ///< how many mounts are there, one over the other
  std::string options{};  ///< of the topmost: ",rw,relatime,"
  std::string tags{};     ///< "shared", "master", "shared master", "unbindable" or empty
  std::string type{};
  std::string source{};
  std::string superblock{};  ///< options of its filesystem: ",rw,size=4k,"
};

/// The directory /proc/self of the procfs that is mounted now; it stays of use when that is not.
sys::Fd own_proc();
/// Reads mountinfo through `own_proc`.
Mounted mounted(sys::FdRef proc, std::string_view path);
/// True when `option` is one of a list like Mounted::options.
bool has(const std::string& options, std::string_view option);
/// The octal mode and the owner of what `path` names, links not followed: "4755 0:0".
std::string mode_of(const std::string& path);

}  // namespace tare::test
