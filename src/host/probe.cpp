#include <fcntl.h>
#include <fmt/core.h>

#include <string_view>

#include "host/host.hpp"
#include "sys/file.hpp"
#include "sys/kernel.hpp"

namespace tare {
namespace {

constexpr long kCgroup2Magic = 0x63677270;  // CGROUP2_SUPER_MAGIC, linux/magic.h

constexpr long kSelinuxMagic = static_cast<long>(0xf97cff8c);  // SELINUX_MAGIC, linux/magic.h

// Hosts with thousands of containers have as many mounts, of some hundred bytes each.
constexpr std::size_t kMaxMountinfo = 64U << 20U;

constexpr const char* kPureMountPoint = "/sys/fs/cgroup";
constexpr const char* kHybridMountPoint = "/sys/fs/cgroup/unified";

// The two places of systemd's own layouts (its "unified" and "hybrid" modes) and of every
// distribution; runc and crun look nowhere else either. mountinfo would tell of others, and costs a
// read of every mount of the host.
CgroupLayout probe_layout() {
  if (sys::find_filesystem_type(kPureMountPoint) == kCgroup2Magic) {
    return {.mount_point = kPureMountPoint};
  }
  if (sys::find_filesystem_type(kHybridMountPoint) == kCgroup2Magic) {
    return {.mount_point = kHybridMountPoint, .hybrid = true};
  }
  return {.mount_point = ""};
}

// A module that is built in has its parameters in sysfs whether it was chosen at boot or not.
bool has_apparmor() {
  const std::optional<sys::Fd> file =
      sys::find_at(sys::FdRef::cwd(), "/sys/module/apparmor/parameters/enabled", O_RDONLY);
  return file && sys::read_all(*file).starts_with('Y');
}

// Where there is no SELinux nobody can mount its filesystem.
bool has_selinux() {
  return sys::find_filesystem_type("/sys/fs/selinux") == kSelinuxMagic;
}

}  // namespace

std::string own_cgroup_of(std::string_view proc_self_cgroup) {
  constexpr std::string_view kPrefix = "0::";
  while (!proc_self_cgroup.empty()) {
    const std::size_t end = proc_self_cgroup.find('\n');
    const std::string_view line = proc_self_cgroup.substr(0, end);
    if (line.starts_with(kPrefix)) return std::string(line.substr(kPrefix.size()));
    if (end == std::string_view::npos) break;
    proc_self_cgroup.remove_prefix(end + 1);
  }
  // A process is always in some cgroup of every mounted hierarchy, so this is a kernel without
  // cgroup v2.
  return "/";
}

std::string resctrl_in(std::string_view mountinfo) {
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(line.size() + 1, mountinfo.size()));
    if (line.find(" - resctrl ") == std::string_view::npos) continue;
    // Id, parent, device, root, and then the mount point.
    std::string_view rest = line;
    for (int field = 0; field < 4; ++field) {
      rest.remove_prefix(std::min(rest.find(' '), rest.size() - 1) + 1);
    }
    return std::string(rest.substr(0, rest.find(' ')));
  }
  return "";
}

ResctrlLayout probe_resctrl(const std::string& mount_point) {
  if (mount_point.empty()) return {};
  const auto has = [&](const char* directory) {
    return sys::find_status(sys::FdRef::cwd(), mount_point + directory).has_value();
  };
  return {.mount_point = mount_point, .l3 = has("/info/L3"), .bandwidth = has("/info/MB")};
}

std::set<std::string> words_of(std::string_view text) {
  std::set<std::string> words;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    if (end > at) words.emplace(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

Host probe_host(const HostQuestions& questions) {
  Host host;
  host.euid = sys::effective_user();
  host.egid = sys::effective_group();
  // Root of any other user namespace is as rootless as a user: no bpf(2), no mknod(2), no mount of
  // a block device. A plain user needs no further question.
  host.rootless = host.euid != 0 || (questions.user_namespace && !sys::in_initial_user_namespace());
  host.last_capability = sys::last_capability();
  if (questions.apparmor) host.apparmor = has_apparmor();
  if (questions.selinux) host.selinux = has_selinux();
  if (questions.resctrl) {
    host.resctrl = probe_resctrl(
        resctrl_in(sys::read_file(sys::FdRef::cwd(), "/proc/self/mountinfo", kMaxMountinfo)));
  }
  if (!questions.cgroup_layout) return host;
  host.cgroup = probe_layout();
  if (host.cgroup.mount_point.empty()) return host;
  if (questions.own_cgroup) {
    host.cgroup.own = own_cgroup_of(sys::read_file(sys::FdRef::cwd(), "/proc/self/cgroup"));
  }
  if (questions.controllers) {
    host.cgroup.controllers = words_of(
        sys::read_file(sys::FdRef::cwd(), host.cgroup.mount_point + "/cgroup.controllers"));
  }
  return host;
}

}  // namespace tare
