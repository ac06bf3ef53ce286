/// Syscall names and their numbers: libseccomp's, and those that came to Linux after the libseccomp
/// that this program is built with.
///
/// Without the second kind a profile that denies mseal, and allows by default, would deny nothing,
/// without a word; and one that allows it would be as good as one that does not. Both are what runc
/// and crun make of such a profile with the same libseccomp. The numbers are no guess: since Linux
/// 5.1 a new syscall has the same one everywhere (Documentation/process/adding-syscalls.rst), but
/// for what a few ABIs add to all of theirs. libseccomp is asked first.
#include <seccomp.h>

#include <algorithm>

#include "features/seccomp_table.hpp"

namespace tare::seccomp {
namespace {

struct Newer {
  std::string_view name;
  std::uint32_t number;
  std::uint32_t only_on = 0;  ///< SCMP_ARCH_*, or 0 for all
};

// libseccomp 2.5.4 ends with Linux 5.17; Debian 12 has put some of these into its own.
constexpr Newer kNewer[] = {
    {"cachestat", 451},
    {"fchmodat2", 452},
    {"map_shadow_stack", 453},
    {"futex_wake", 454},
    {"futex_wait", 455},
    {"futex_requeue", 456},
    {"statmount", 457},
    {"listmount", 458},
    {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461},
    {"mseal", 462},
    {"setxattrat", 463},
    {"getxattrat", 464},
    {"listxattrat", 465},
    {"removexattrat", 466},
    {"open_tree_attr", 467},
    {"file_getattr", 468},
    {"file_setattr", 469},
    {"listns", 470},
    {"rseq_slice_yield", 471},
    {"uretprobe", 335, SCMP_ARCH_X86_64},
    {"uprobe", 336, SCMP_ARCH_X86_64},
    {"riscv_hwprobe", 258, SCMP_ARCH_RISCV64},
};

// What an ABI adds to every number (asm/unistd.h of x86 and mips).
constexpr std::uint32_t base_of(std::uint32_t token) {
  switch (token) {
    case SCMP_ARCH_X32:
      return 0x40000000;
    case SCMP_ARCH_MIPS:
    case SCMP_ARCH_MIPSEL:
      return 4000;
    case SCMP_ARCH_MIPS64:
    case SCMP_ARCH_MIPSEL64:
      return 5000;
    case SCMP_ARCH_MIPS64N32:
    case SCMP_ARCH_MIPSEL64N32:
      return 6000;
    default:
      return 0;
  }
}

const Newer* find_newer(std::string_view name) {
  const Newer* found = std::find_if(std::begin(kNewer), std::end(kNewer),
                                    [&](const Newer& newer) { return newer.name == name; });
  return found == std::end(kNewer) ? nullptr : found;
}

}  // namespace

int number_of(std::uint32_t token, const std::string& name) {
  const int number = seccomp_syscall_resolve_name_arch(token, name.c_str());
  if (number != __NR_SCMP_ERROR) return number;
  const Newer* newer = find_newer(name);
  if (newer == nullptr || (newer->only_on != 0 && newer->only_on != token)) return number;
  return static_cast<int>(base_of(token) + newer->number);
}

bool is_known(const std::string& name) {
  // A call of other architectures only has a negative number, but not this one.
  return seccomp_syscall_resolve_name(name.c_str()) != __NR_SCMP_ERROR ||
         find_newer(name) != nullptr;
}

std::vector<std::string> unknown_names(const std::vector<Rule>& rules) {
  std::vector<std::string> names;
  for (const Rule& rule : rules) {
    for (const std::string& name : rule.names) {
      const bool is_new = std::find(names.begin(), names.end(), name) == names.end();
      if (is_new && !is_known(name)) names.push_back(name);
    }
  }
  return names;
}

}  // namespace tare::seccomp
