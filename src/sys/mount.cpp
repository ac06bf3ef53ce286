#include "sys/mount.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/describe.hpp"
#include "sys/file.hpp"

// glibc 2.36's sys/mount.h and linux/mount.h define the same types; only the kernel's header is
// included, and these two old calls are declared here instead.
extern "C" {
int mount(const char* source, const char* target, const char* type, unsigned long flags,
          const void* data) noexcept;
int umount2(const char* target, int flags) noexcept;
}

namespace tare::sys {
namespace {

constexpr unsigned kOpenTreeNamespace = 1U << 1U;  // OPEN_TREE_NAMESPACE, Linux 7.0
constexpr int kDetach = 2;                         // MNT_DETACH of sys/mount.h

constexpr std::array kAttributeNames{
    FlagName{MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"},
    FlagName{MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"},
    FlagName{MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"},
    FlagName{MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"},
    FlagName{MOUNT_ATTR_NOATIME, "MOUNT_ATTR_NOATIME"},
    FlagName{MOUNT_ATTR_STRICTATIME, "MOUNT_ATTR_STRICTATIME"},
    FlagName{MOUNT_ATTR_NODIRATIME, "MOUNT_ATTR_NODIRATIME"},
    FlagName{MOUNT_ATTR_IDMAP, "MOUNT_ATTR_IDMAP"},
    FlagName{MOUNT_ATTR_NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"},
};

std::string first_line(std::string text) {
  const std::size_t end = text.find('\n');
  if (end != std::string::npos) text.resize(end);
  return text;
}

[[noreturn]] void fail(int number, FdRef context, const std::string& doing) {
  // A context's read(2) gives the filesystem's own words, "e tmpfs: Bad value for 'size'".
  std::array<char, 512> text{};
  const ssize_t got = ::read(context.number(), text.data(), text.size() - 1);
  const std::string said = got > 2 ? ": " + first_line(text.data() + 2) : "";
  raise(number, "{}{}", doing, said);
}

}  // namespace

Fd clone_tree(FdRef dir, const std::string& path, bool recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  if (recursive) flags |= AT_RECURSIVE;
  if (path.empty()) flags |= AT_EMPTY_PATH;
  const long fd = ::syscall(SYS_open_tree, dir.number(), path.c_str(), flags);
  if (fd < 0) raise(errno, "open_tree {}", path.empty() ? describe(dir) : path);
  return Fd(static_cast<int>(fd));
}

Fd find_namespace_of(FdRef mount) {
  constexpr unsigned kFlags = kOpenTreeNamespace | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
  return Fd(static_cast<int>(::syscall(SYS_open_tree, mount.number(), "", kFlags)));
}

void set_attributes(FdRef mount, const MountAttributes& attributes, bool recursive) {
  struct mount_attr attr {};
  attr.attr_set = attributes.set;
  attr.attr_clr = attributes.clear;
  attr.propagation = attributes.propagation;
  if (attributes.user_namespace) {
    attr.userns_fd = static_cast<std::uint64_t>(attributes.user_namespace->number());
  }
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  if (::syscall(SYS_mount_setattr, mount.number(), "", flags, &attr, sizeof attr) < 0) {
    raise(errno, "mount_setattr {} (set {}, clear {}, propagation {:#x})", describe(mount),
          describe_flags(attr.attr_set, kAttributeNames),
          describe_flags(attr.attr_clr, kAttributeNames), attr.propagation);
  }
}

void attach(FdRef mount, FdRef target) {
  constexpr unsigned kByDescriptor = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  if (::syscall(SYS_move_mount, mount.number(), "", target.number(), "", kByDescriptor) < 0) {
    raise(errno, "move_mount {} to {}", describe(mount), describe(target));
  }
}

NewFilesystem::NewFilesystem(std::string type) : type_(std::move(type)) {
  const long fd = ::syscall(SYS_fsopen, type_.c_str(), FSOPEN_CLOEXEC);
  if (fd < 0) raise(errno, "fsopen {}", type_);
  context_ = Fd(static_cast<int>(fd));
}

void NewFilesystem::set(const std::string& key, const std::string& value) {
  if (::syscall(SYS_fsconfig, context_.number(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(),
                0) < 0) {
    fail(errno, context_, fmt::format("new {} filesystem: set {}={}", type_, key, value));
  }
}

void NewFilesystem::set_flag(const std::string& key) {
  if (::syscall(SYS_fsconfig, context_.number(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0) < 0) {
    fail(errno, context_, fmt::format("new {} filesystem: set {}", type_, key));
  }
}

Fd NewFilesystem::mount(std::uint64_t attributes) {
  if (::syscall(SYS_fsconfig, context_.number(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) {
    fail(errno, context_, fmt::format("new {} filesystem: create", type_));
  }
  const long fd = ::syscall(SYS_fsmount, context_.number(), FSMOUNT_CLOEXEC, attributes);
  if (fd < 0) fail(errno, context_, fmt::format("new {} filesystem: mount", type_));
  return Fd(static_cast<int>(fd));
}

void reconfigure(FdRef mount, const std::vector<std::string>& options) {
  constexpr unsigned kByDescriptor = FSPICK_CLOEXEC | FSPICK_EMPTY_PATH;
  const long fd = ::syscall(SYS_fspick, mount.number(), "", kByDescriptor);
  if (fd < 0) raise(errno, "fspick {}", describe(mount));
  const Fd context(static_cast<int>(fd));
  for (const std::string& option : options) {
    const std::size_t end = option.find('=');
    const bool is_flag = end == std::string::npos;
    const std::string key = option.substr(0, end);
    const char* value = is_flag ? nullptr : option.c_str() + end + 1;
    const unsigned command = is_flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    if (::syscall(SYS_fsconfig, context.number(), command, key.c_str(), value, 0) < 0) {
      fail(errno, context, fmt::format("{}: set {}", describe(mount), option));
    }
  }
  if (::syscall(SYS_fsconfig, context.number(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) <
      0) {
    fail(errno, context, fmt::format("{}: reconfigure", describe(mount)));
  }
}

bool is_mount_root(FdRef place) {
  struct statx found {};
  if (::statx(place.number(), "", AT_EMPTY_PATH, 0, &found) < 0) {
    raise(errno, "statx {}", describe(place));
  }
  return (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

void detach(FdRef own_descriptors, FdRef mount) {
  change_directory(own_descriptors);
  // umount2 takes no descriptor. The magic link leads to the mount itself, past whatever has been
  // mounted or renamed at its path meanwhile.
  if (::umount2(std::to_string(mount.number()).c_str(), kDetach) < 0) {
    raise(errno, "umount2({}, MNT_DETACH)", describe(mount));
  }
}

void pivot_root_here() {
  // With both arguments ".", the old root ends up mounted over the new one at ".", so no directory
  // for it is needed in the rootfs (pivot_root(2), NOTES).
  if (::syscall(SYS_pivot_root, ".", ".") < 0) raise(errno, "pivot_root(\".\", \".\")");
  detach_here();
  if (::chdir("/") < 0) raise(errno, "chdir /");
}

void move_root_here() {
  constexpr unsigned long kMove = 8192;  // MS_MOVE
  if (::mount(".", "/", nullptr, kMove, nullptr) < 0) raise(errno, "mount --move . /");
  if (::chroot(".") < 0) raise(errno, "chroot .");
  if (::chdir("/") < 0) raise(errno, "chdir /");
}

void detach_here() {
  if (::umount2(".", kDetach) < 0) raise(errno, "umount2(\".\", MNT_DETACH)");
}

}  // namespace tare::sys
