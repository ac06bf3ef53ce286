#include "features/mount_hints.hpp"

#include <linux/mount.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace tare::mount_hints {
namespace {

struct Hint {
  std::string_view type;
  int number;
  std::string_view text;
};

constexpr Hint kOfTypes[] = {
    {"proc", EPERM,
     "in a user namespace, proc needs a new pid namespace, and a /proc of the host of which no "
     "part "
     "is covered"},
    {"sysfs", EPERM,
     "in a user namespace, sysfs needs a new network namespace, and a /sys of the host of which no "
     "part is covered"},
    {"mqueue", EPERM, "in a user namespace, mqueue needs a new ipc namespace"},
    {"cgroup2", EPERM, "in a user namespace, cgroup2 needs a new cgroup namespace"},
};

bool has_option(const mounts::Mount& mount, std::string_view key) {
  const auto& data = mount.options.data;
  return std::any_of(data.begin(), data.end(),
                     [&](const std::string& option) { return option.starts_with(key); });
}

std::string_view hint_for_invalid(const mounts::Mount& mount) {
  const mount_options::Options& options = mount.options;
  if (has_option(mount, "lowerdir+=") || has_option(mount, "datadir+=")) {
    return "so long a list of layers needs Linux 6.7";
  }
  if (has_option(mount, "gid=") || has_option(mount, "uid=")) {
    return "in a user namespace, the ids of uid= and gid= must be among linux.uidMappings and "
           "linux.gidMappings";
  }
  if (((options.set | options.clear | options.recursive_set | options.recursive_clear) &
       MOUNT_ATTR_NOSYMFOLLOW) != 0) {
    return "nosymfollow needs Linux 5.14";
  }
  return {};
}

}  // namespace

std::string hint_for(const mounts::Mount& mount, int number) {
  for (const Hint& hint : kOfTypes) {
    if (hint.type == mount.type && hint.number == number) return std::string(hint.text);
  }
  const bool is_bind = mount.type.empty();
  if (number == EINVAL) return std::string(hint_for_invalid(mount));
  if (number == ENODEV && !is_bind) return "the kernel has no such filesystem, or not its module";
  if (number == EPERM && is_bind && (mount.options.clear | mount.options.recursive_clear) != 0) {
    return "in a user namespace, flags of the host's mounts cannot be taken away: leave out words "
           "such as rw, suid, dev and exec";
  }
  return {};
}

}  // namespace tare::mount_hints
