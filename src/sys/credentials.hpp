/// What a process may do: its ids, groups, capability sets, limits, session keyring and seccomp
/// filter. All of it acts on the calling process unless a pid is given, and none of it goes through
/// glibc's wrappers that synchronise threads (see sys/process.hpp, constraint 3).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tare::sys {

/// Sets the supplementary groups; an empty list clears them. Throws Error(system).
void set_groups(const std::vector<gid_t>& groups);
/// setresgid(2), all three ids at once. Throws Error(system).
void set_gid(gid_t gid);
/// setresuid(2), all three ids at once. Throws Error(system).
void set_uid(uid_t uid);
/// umask(2); gives the one before.
mode_t set_umask(mode_t mask) noexcept;

/// The three sets that capget(2) tells of; bit n stands for capability number n.
struct CapabilitySets {
  std::uint64_t effective = 0;
  std::uint64_t permitted = 0;
  std::uint64_t inheritable = 0;
  bool operator==(const CapabilitySets&) const = default;
};

/// The caller's sets. Throws Error(system).
CapabilitySets own_capabilities();
/// capset(2) for the caller. Throws Error(system).
void set_capabilities(const CapabilitySets& sets);
/// Takes one capability out of the bounding set (PR_CAPBSET_DROP). Throws Error(system).
void drop_from_bounding(int capability);
/// Whether the bounding set holds a capability; false for a number that the kernel does not know.
bool is_bounding(int capability) noexcept;
/// Empties the ambient set. Throws Error(system).
void clear_ambient();
/// Puts one capability into the ambient set (PR_CAP_AMBIENT_RAISE). Throws Error(system).
void raise_ambient(int capability);
/// PR_SET_KEEPCAPS: whether permitted capabilities survive a change from uid 0 to another.
void set_keep_capabilities(bool keep);
/// The SECBIT_* flags, SECBIT_KEEP_CAPS among them. Throws Error(system).
unsigned secure_bits();
/// Sets all SECBIT_* flags; needs CAP_SETPCAP. Throws Error(system).
void set_secure_bits(unsigned bits);
/// PR_SET_NO_NEW_PRIVS, which cannot be undone. Throws Error(system).
void set_no_new_privileges();

/// A soft and a hard limit; 2^64 - 1 is none.
struct ResourceLimit {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  bool operator==(const ResourceLimit&) const = default;
};

/// The limit RLIMIT_* of process `pid`, 0 for the caller (prlimit64(2)). Throws Error(system).
ResourceLimit resource_limit(pid_t pid, int resource);
/// Sets the limit RLIMIT_* of process `pid`, 0 for the caller (prlimit64(2)). Throws Error(system).
void set_resource_limit(pid_t pid, int resource, const ResourceLimit& limit);

/// Gives the caller the session keyring of this name, a new one unless one of its user namespace
/// is there that it may search (keyctl(2)); without a name always a new one. Gives the keyring's
/// serial number. Throws Error(system).
int join_session_keyring(const std::string& name);
/// KEYCTL_SETPERM: KEY_POS_*, KEY_USR_* ... bits of linux/key.h. Throws Error(system).
void set_key_permissions(int serial, unsigned permissions);

}  // namespace tare::sys
