/// Mounts as objects: a mount is a descriptor from the moment it is made, gets its attributes while
/// it is detached, and is attached by descriptor. No call here takes a path inside a container, so
/// a race on a path can redirect nothing (CVE-2021-30465, CVE-2025-31133), and there is no moment
/// at which a read-only mount is writable. Needs Linux 5.12 (mount_setattr).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/fd.hpp"

namespace tare::sys {

/// A detached copy of the mount that `path` below `dir` is on, from there down; with `recursive`,
/// of every mount below it as well. An empty path means `dir` itself. Throws Error(system).
Fd clone_tree(FdRef dir, const std::string& path, bool recursive);

/// A mount namespace that holds a copy of `mount` alone, without what is mounted below it, for
/// setns(2); empty where the kernel cannot make one (before Linux 7.0, or it is not ours to make).
Fd find_namespace_of(FdRef mount);

/// What to change on a mount; bits are MOUNT_ATTR_* of linux/mount.h.
struct MountAttributes {
  std::uint64_t set = 0;
  std::uint64_t clear = 0;
  std::uint64_t propagation = 0;        ///< MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE or 0
  std::optional<FdRef> user_namespace;  ///< for MOUNT_ATTR_IDMAP
};

/// mount_setattr(2) on the mount at `mount`; with `recursive`, on every mount below it as well.
void set_attributes(FdRef mount, const MountAttributes& attributes, bool recursive);

/// Attaches a detached mount (or moves an attached one) onto `target`. Throws Error(system).
void attach(FdRef mount, FdRef target);

/// A filesystem under construction: fsopen, any number of options, then one mount of it.
/// What the filesystem says of a bad option is put into the Error.
class NewFilesystem {
 public:
  /// Throws Error(system) when the kernel has no such type (ENODEV).
  explicit NewFilesystem(std::string type);
  /// An option with a value: "size=64k".
  void set(const std::string& key, const std::string& value);
  /// An option without one: "ro", "nonumtail".
  void set_flag(const std::string& key);
  /// Makes the filesystem and a detached mount of it with these MOUNT_ATTR_* bits.
  Fd mount(std::uint64_t attributes);

 private:
  std::string type_;
  Fd context_;
};

/// Changes options of the filesystem itself that is mounted at `mount`: "ro" or "size=64k" each, as
/// mount(8) does for "remount". Throws Error(system).
void reconfigure(FdRef mount, const std::vector<std::string>& options);

/// Whether `place` is the root of a mount, not a place within one (STATX_ATTR_MOUNT_ROOT). Throws
/// Error(system).
bool is_mount_root(FdRef place);

/// Detaches (MNT_DETACH) the very mount whose root `mount` is, with all that is mounted below it.
/// `own_descriptors` is this process's own /proc/self/fd; the current directory is changed to it.
/// Throws Error(system).
void detach(FdRef own_descriptors, FdRef mount);

/// Makes the current directory, which must be a mount's root, the root of this mount namespace, and
/// detaches the old root with all that is mounted there.
void pivot_root_here();

/// Moves the mount that is the current directory over "/" and makes it the root by chroot; for a
/// host root that cannot be pivoted away, such as an initramfs (--no-pivot).
void move_root_here();

/// Detaches the mount at the current directory's path "." (MNT_DETACH).
void detach_here();

}  // namespace tare::sys
