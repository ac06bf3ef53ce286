/// What this machine can do, as facts. Probed once, before planning; planning itself asks the
/// kernel nothing, so a test makes up any machine it likes by filling this in.
#pragma once

#include <sys/types.h>

#include <set>
#include <string>
#include <string_view>

namespace tare {

/// Where cgroup v2 is to be found. Filled when it was asked for.
struct CgroupLayout {
  /// The mount point of the cgroup2 tree: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside v1
  /// controllers on a hybrid host. Empty when there is none.
  std::string mount_point = "/sys/fs/cgroup";
  bool hybrid = false;
  /// This process's own cgroup below the mount point, "/" first. Filled when it was asked for.
  std::string own = "/";
  /// The controllers of the tree's root. Filled when it was asked for.
  std::set<std::string> controllers{};
};

/// The resctrl filesystem, which somebody else has mounted. Filled when it was asked for.
struct ResctrlLayout {
  std::string mount_point{};  ///< empty where there is none
  bool l3 = false;            ///< has shares of the last-level cache (info/L3)
  bool bandwidth = false;     ///< has shares of the memory bandwidth (info/MB)
};

struct Host {
  uid_t euid = 0;
  gid_t egid = 0;
  /// True when this process is not root in the initial user namespace. Of root, it is only known
  /// where it was asked for.
  bool rootless = false;
  /// The highest capability number that the kernel knows.
  int last_capability = 40;
  CgroupLayout cgroup{};
  bool apparmor = false;  ///< enabled. Filled when it was asked for.
  bool selinux = false;   ///< enabled, enforcing or not. Filled when it was asked for.
  ResctrlLayout resctrl{};
};

/// Which facts, beyond the ones that are free, a command needs. The first two, nearly all do.
struct HostQuestions {
  bool user_namespace = true;  ///< whether root is root of the initial one
  bool cgroup_layout = true;
  bool own_cgroup = false;
  bool controllers = false;
  bool apparmor = false;
  bool selinux = false;
  bool resctrl = false;
};

/// Asks the kernel. Throws Error(system).
Host probe_host(const HostQuestions& questions);

/// The cgroup v2 path that a text like that of /proc/PID/cgroup (cgroups(7)) names, "/" without
/// one.
std::string own_cgroup_of(std::string_view proc_self_cgroup);

/// Where a text like that of /proc/PID/mountinfo (proc_pid_mountinfo(5)) has resctrl mounted, empty
/// where it has not.
std::string resctrl_in(std::string_view mountinfo);

/// What the resctrl tree at `mount_point` has.
ResctrlLayout probe_resctrl(const std::string& mount_point);

/// The words of a text like that of cgroup.controllers.
std::set<std::string> words_of(std::string_view text);

}  // namespace tare
