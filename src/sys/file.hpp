/// Files by descriptor and name: thin wrappers that add O_CLOEXEC, retry EINTR, and throw
/// Error(system) naming the call, its arguments and errno. Paths inside a container go through
/// sys::Root instead.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace tare::sys {

/// Opens `path` below `dir`; O_CLOEXEC and O_NOCTTY are added. Throws Error(system).
Fd open_at(FdRef dir, const std::string& path, int flags, mode_t mode = 0);

/// As open_at, but a missing file (ENOENT) is nullopt.
std::optional<Fd> find_at(FdRef dir, const std::string& path, int flags);

/// Everything that is left to read, at most `limit` bytes; a longer file is an Error(system,
/// EFBIG).
std::string read_all(FdRef fd, std::size_t limit = 1U << 20U);

/// The first bytes of a file, at most `limit`, wherever its offset is. Throws Error(system).
std::string read_start(FdRef fd, std::size_t limit);

/// open_at and read_all of a whole file.
std::string read_file(FdRef dir, const std::string& path, std::size_t limit = 1U << 20U);

/// Writes all of `bytes`, continuing after short writes. Throws Error(system).
void write_all(FdRef fd, std::string_view bytes);

/// Writes `bytes` to an existing file with one write(2), as procfs and cgroupfs require: the kernel
/// takes each write there as a whole value. Throws Error(system) naming the file and the value.
void write_value(FdRef dir, const std::string& path, std::string_view bytes);

/// Copies what is left to read in `from` to `to`, within the kernel. Throws Error(system).
void copy_bytes(FdRef from, FdRef to);

/// fstat(2).
struct stat status(FdRef fd);

/// fstatat(2) without following a link in the last component; nullopt when there is no such file.
std::optional<struct stat> find_status(FdRef dir, const std::string& path);

/// The f_type of the filesystem that `fd` is on.
long filesystem_type(FdRef fd);

/// mkdirat(2); false when something of that name exists already.
bool make_directory(FdRef dir, const std::string& path, mode_t mode);

/// unlinkat(2) of a file; false when there is none.
bool remove_file(FdRef dir, const std::string& path);

/// unlinkat(2) of an empty directory; false when there is none.
bool remove_directory(FdRef dir, const std::string& path);

/// renameat2(2) with the given RENAME_* flags.
void rename_file(FdRef dir, const std::string& from, const std::string& to, unsigned flags = 0);

/// symlinkat(2); false when something of that name exists already.
bool make_symlink(const std::string& target, FdRef dir, const std::string& path);

/// mknodat(2); false when something of that name exists already.
bool make_node(FdRef dir, const std::string& path, mode_t mode, dev_t device);

/// The target of the symbolic link `path`; with an empty path, of the O_PATH descriptor of a link.
std::string read_link(FdRef dir, const std::string& path);

/// fchmodat2/fchmod of what the descriptor holds, O_PATH descriptors included.
void change_mode(FdRef fd, mode_t mode);

/// fchownat(AT_EMPTY_PATH) of what the descriptor holds.
void change_owner(FdRef fd, uid_t uid, gid_t gid);

/// fsetxattr(2), of a descriptor that is not O_PATH. Throws Error(system).
void set_extended_attribute(FdRef fd, const std::string& name, std::string_view value);

/// Opens again, with other flags, what an O_PATH descriptor holds; through our own procfs, so only
/// outside a container. Throws Error(system).
Fd reopen(FdRef fd, int flags);

/// The names in a directory, without . and .., in no order.
std::vector<std::string> list_directory(FdRef dir);

/// The current directory as the kernel names it; throws Error(system) when it lies outside the
/// root.
std::string current_directory();

/// fchdir(2).
void change_directory(FdRef dir);

}  // namespace tare::sys
