#include "sys/credentials.hpp"

#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "sys/describe.hpp"

namespace tare::sys {
namespace {

// The capability calls take 64 bits as two words of 32, the low one first
// (_LINUX_CAPABILITY_VERSION_3).
using CapabilityWords = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

constexpr __u32 low_word(std::uint64_t set) {
  return static_cast<__u32>(set);
}
constexpr __u32 high_word(std::uint64_t set) {
  return static_cast<__u32>(set >> 32U);
}
constexpr std::uint64_t joined(__u32 low, __u32 high) {
  return (static_cast<std::uint64_t>(high) << 32U) | low;
}

std::string shown(std::uint64_t limit) {
  return limit == RLIM64_INFINITY ? "unlimited" : fmt::format("{}", limit);
}

}  // namespace

// The raw calls, since glibc's would signal every thread to make the same change (nptl(7)); there
// is one. All three ids of a kind are set, or a saved one would be a way back.

void set_groups(const std::vector<gid_t>& groups) {
  if (::syscall(SYS_setgroups, groups.size(), groups.data()) == 0) return;
  raise(errno, "setgroups({})", fmt::join(groups, ", "));
}

void set_gid(gid_t gid) {
  if (::syscall(SYS_setresgid, gid, gid, gid) < 0) raise(errno, "setresgid({0}, {0}, {0})", gid);
}

void set_uid(uid_t uid) {
  if (::syscall(SYS_setresuid, uid, uid, uid) < 0) raise(errno, "setresuid({0}, {0}, {0})", uid);
}

mode_t set_umask(mode_t mask) noexcept {
  return ::umask(mask);
}

// libcap is not used for these: it looks at what the kernel can do before its first call, which is
// more system calls than all that is made here.

CapabilitySets own_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  CapabilityWords words{};
  if (::syscall(SYS_capget, &header, words.data()) < 0) raise(errno, "capget");
  return {.effective = joined(words[0].effective, words[1].effective),
          .permitted = joined(words[0].permitted, words[1].permitted),
          .inheritable = joined(words[0].inheritable, words[1].inheritable)};
}

void set_capabilities(const CapabilitySets& sets) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const CapabilityWords words{{
      {low_word(sets.effective), low_word(sets.permitted), low_word(sets.inheritable)},
      {high_word(sets.effective), high_word(sets.permitted), high_word(sets.inheritable)},
  }};
  if (::syscall(SYS_capset, &header, words.data()) == 0) return;
  raise(errno, "capset(effective {:#x}, permitted {:#x}, inheritable {:#x})", sets.effective,
        sets.permitted, sets.inheritable);
}

void drop_from_bounding(int capability) {
  if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
    raise(errno, "prctl(PR_CAPBSET_DROP, {})", capability);
  }
}

// EINVAL, for a number above the kernel's last one, counts as "not in it".
bool is_bounding(int capability) noexcept {
  return ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1;
}

void clear_ambient() {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
    raise(errno, "prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
  }
}

void raise_ambient(int capability) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) {
    raise(errno, "prctl(PR_CAP_AMBIENT_RAISE, {})", capability);
  }
}

void set_keep_capabilities(bool keep) {
  if (::prctl(PR_SET_KEEPCAPS, keep ? 1 : 0, 0, 0, 0) < 0) {
    raise(errno, "prctl(PR_SET_KEEPCAPS, {:d})", keep);
  }
}

unsigned secure_bits() {
  const int bits = ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
  if (bits < 0) raise(errno, "prctl(PR_GET_SECUREBITS)");
  return static_cast<unsigned>(bits);
}

void set_secure_bits(unsigned bits) {
  if (::prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
    raise(errno, "prctl(PR_SET_SECUREBITS, {:#x})", bits);
}

void set_no_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) raise(errno, "prctl(PR_SET_NO_NEW_PRIVS, 1)");
}

// prlimit64 even for the caller: it has 64 bits on every architecture, and one call does for both.
ResourceLimit resource_limit(pid_t pid, int resource) {
  struct rlimit64 limit {};
  if (::syscall(SYS_prlimit64, pid, resource, nullptr, &limit) < 0) {
    raise(errno, "prlimit({}, {})", pid, resource);
  }
  return {.soft = limit.rlim_cur, .hard = limit.rlim_max};
}

void set_resource_limit(pid_t pid, int resource, const ResourceLimit& limit) {
  const struct rlimit64 wanted { .rlim_cur = limit.soft, .rlim_max = limit.hard };
  if (::syscall(SYS_prlimit64, pid, resource, &wanted, nullptr) == 0) return;
  raise(errno, "prlimit({}, {}, soft {}, hard {})", pid, resource, shown(limit.soft),
        shown(limit.hard));
}

int join_session_keyring(const std::string& name) {
  const char* wanted = name.empty() ? nullptr : name.c_str();
  const long serial = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, wanted);
  if (serial < 0) raise(errno, "keyctl(KEYCTL_JOIN_SESSION_KEYRING, \"{}\")", name);
  return static_cast<int>(serial);
}

void set_key_permissions(int serial, unsigned permissions) {
  if (::syscall(SYS_keyctl, KEYCTL_SETPERM, serial, permissions) < 0) {
    raise(errno, "keyctl(KEYCTL_SETPERM, {}, {:#x})", serial, permissions);
  }
}

}  // namespace tare::sys
