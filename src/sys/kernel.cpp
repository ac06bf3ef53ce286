#include "sys/kernel.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "sys/describe.hpp"

namespace tare::sys {
namespace {

// The inode of the initial user namespace is the same on every kernel since 3.8 (PROC_USER_INIT_INO
// of linux/proc_ns.h, and a promise to userspace as USER_NS_INIT_INO of linux/nsfs.h since 6.17).
constexpr ino_t kInitialUserNamespace = 0xEFFFFFFD;

// Capability sets are 64 bits wide.
constexpr int kCapabilityLimit = 63;

}  // namespace

uid_t effective_user() noexcept {
  return ::geteuid();
}

gid_t effective_group() noexcept {
  return ::getegid();
}

bool in_initial_user_namespace() {
  struct stat out {};
  if (::stat("/proc/self/ns/user", &out) < 0) raise(errno, "stat /proc/self/ns/user");
  return out.st_ino == kInitialUserNamespace;
}

int last_capability() noexcept {
  // The kernels that tare runs on know CAP_CHECKPOINT_RESTORE, so asking starts behind it: one call
  // where a walk from 0 would be forty, and one where /proc/sys/kernel/cap_last_cap would be three.
  int last = CAP_CHECKPOINT_RESTORE;
  while (last < kCapabilityLimit && ::prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0) ++last;
  return last;
}

// Told by the kernel at exec, in the auxiliary vector: no call.
std::size_t page_size() noexcept {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::optional<long> find_filesystem_type(const std::string& path) {
  struct statfs out {};
  if (::statfs(path.c_str(), &out) == 0) return out.f_type;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  raise(errno, "statfs {}", path);
}

}  // namespace tare::sys
