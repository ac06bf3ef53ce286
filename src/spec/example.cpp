#include "spec/example.hpp"

#include <nlohmann/json.hpp>
#include <string_view>

namespace tare::spec {
namespace {

using nlohmann::ordered_json;

ordered_json mount(const char* destination, const char* type, const char* source,
                   std::initializer_list<const char*> options) {
  ordered_json out{{"destination", destination}, {"type", type}, {"source", source}};
  if (options.size() != 0) out["options"] = ordered_json(options);
  return out;
}

// `rootless`: sysfs belongs to the network namespace, which is the host's; so is the group that the
// terminals belong to.
ordered_json mounts(bool rootless) {
  return {
      mount("/proc", "proc", "proc", {}),
      mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      rootless ? mount("/dev/pts", "devpts", "devpts",
                       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"})
               : mount("/dev/pts", "devpts", "devpts",
                       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
      mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
      mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      rootless ? mount("/sys", "none", "/sys", {"rbind", "nosuid", "noexec", "nodev", "ro"})
               : mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
      mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}),
  };
}

ordered_json process() {
  const ordered_json capabilities{"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
  return {
      {"terminal", true},
      {"user", {{"uid", 0}, {"gid", 0}}},
      {"args", ordered_json::array({"sh"})},
      {"env",
       ordered_json::array(
           {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"})},
      {"cwd", "/"},
      {"capabilities",
       {{"bounding", capabilities}, {"effective", capabilities}, {"permitted", capabilities}}},
      {"rlimits",
       ordered_json::array({{{"type", "RLIMIT_NOFILE"}, {"hard", 1024}, {"soft", 1024}}})},
      {"noNewPrivileges", true},
  };
}

ordered_json namespaces(bool rootless) {
  ordered_json out = ordered_json::array();
  for (const char* type : {"pid", "network", "ipc", "uts", "mount", "cgroup"}) {
    // A user cannot set up a network, and without one the host's is of more use.
    if (rootless && std::string_view(type) == "network") continue;
    out.push_back({{"type", type}});
  }
  if (rootless) out.push_back({{"type", "user"}});
  return out;
}

ordered_json map_root_to(unsigned host_id) {
  return ordered_json::array({{{"containerID", 0}, {"hostID", host_id}, {"size", 1}}});
}

ordered_json linux_object(bool rootless, uid_t uid, gid_t gid) {
  ordered_json out = ordered_json::object();
  if (rootless) {
    out["uidMappings"] = map_root_to(uid);
    out["gidMappings"] = map_root_to(gid);
  } else {
    out["resources"] = {{"devices", ordered_json::array({{{"allow", false}, {"access", "rwm"}}})}};
  }
  out["namespaces"] = namespaces(rootless);
  out["maskedPaths"] = {"/proc/acpi",        "/proc/asound",        "/proc/kcore",
                        "/proc/keys",        "/proc/latency_stats", "/proc/timer_list",
                        "/proc/timer_stats", "/proc/sched_debug",   "/sys/firmware",
                        "/proc/scsi"};
  out["readonlyPaths"] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  return out;
}

}  // namespace

std::string example(bool rootless, uid_t uid, gid_t gid) {
  const ordered_json config{
      {"ociVersion", "1.3.0"},
      {"process", process()},
      {"root", {{"path", "rootfs"}, {"readonly", true}}},
      {"hostname", "tare"},
      {"mounts", mounts(rootless)},
      {"linux", linux_object(rootless, uid, gid)},
  };
  return config.dump(1, '\t') + "\n";
}

}  // namespace tare::spec
