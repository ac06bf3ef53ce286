/// What tare keeps of a container between two calls of it: the record, which every command reads,
/// and the intent, which is written before anything is made and never changes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tare {

/// Where a container is in its life (runtime.md, "State").
enum class Status { creating, created, running, paused, stopped };

/// "created": the specification's word.
std::string_view to_string(Status status) noexcept;

/// What tells init from a later process of the same pid.
struct InitProcess {
  pid_t pid = 0;
  std::uint64_t pidfs_inode = 0;  ///< 0 before Linux 6.9
  std::uint64_t start_time = 0;   ///< clock ticks since boot; 0 where pidfs_inode is known
  bool operator==(const InitProcess&) const = default;
};

/// The container's place in the resctrl filesystem (linux.intelRdt). All empty where it has none.
struct ResctrlGroup {
  std::string directory{};   ///< of the class of service; absolute
  std::string monitoring{};  ///< of the monitoring group, removed at delete; or empty
  bool own = false;          ///< the class is the container's own: removed at delete
  bool operator==(const ResctrlGroup&) const = default;
};

/// The scope that systemd keeps the container in; no name with the cgroupfs driver.
struct ScopeUnit {
  std::string name{};  ///< "tare-web.scope"
  bool user = false;   ///< of the user's own systemd
  bool operator==(const ScopeUnit&) const = default;
};

/// What of a container comes from outside of it: a checkpoint leaves it out, and a restore connects
/// it anew.
struct Outside {
  std::vector<std::string> mounts{};  ///< destinations of what is bound from the host, in order
  std::vector<std::string> masked{};  ///< absolute paths
  std::uint64_t joined = 0;           ///< CLONE_NEW* bits of the namespaces joined by path
  /// The pipes that the first three streams were given, "pipe:[123]"; empty for one that is none,
  /// and with a terminal.
  std::vector<std::string> pipes{};
  bool operator==(const Outside&) const = default;
};

/// The intent: enough to undo a create that was killed at any point.
struct Intent {
  std::string id{};
  std::string bundle{};            ///< absolute
  std::string rootfs{};            ///< absolute
  std::string boot_id{};           ///< as the record's
  std::string cgroup_directory{};  ///< absolute; empty where cgroups are disabled
  ScopeUnit scope{};
  std::string hooks{};             ///< the object `hooks` of config.json as JSON, or empty
  std::string process{};           ///< the object `process` of config.json as JSON: exec's defaults
  std::uint64_t namespaces = 0;    ///< CLONE_NEW* bits that exec joins
  bool user_mapped = false;        ///< the container has a user namespace
  bool setgroups_denied = false;   ///< in which additional groups cannot be set
  bool rootless = false;           ///< made by who was not root of the initial user namespace
  std::string linux_part{};        ///< what of `linux` holds for exec too, as JSON, or empty
  bool keyring_kept = false;       ///< --no-new-keyring: exec makes none either
  std::string seccomp_listener{};  ///< the agent's socket, which exec's filter has too, or empty
  std::string seccomp_metadata{};  ///< what the agent is sent with it
  ResctrlGroup resctrl{};
  Outside outside{};
  bool operator==(const Intent&) const = default;
};

/// The record: written by rename once init stands at the start gate.
struct Record {
  std::string id{};
  std::string oci_version{};
  std::string bundle{};   ///< absolute
  std::string rootfs{};   ///< absolute
  std::string created{};  ///< RFC 3339 with nanoseconds, UTC
  /// Pids and their pidfs inodes start anew with each boot, and nothing but files outlives one.
  /// Empty where the record lies on a filesystem that does not either.
  std::string boot_id{};
  uid_t owner = 0;
  InitProcess init{};
  std::string cgroup_directory{};
  ScopeUnit scope{};
  std::uint64_t namespaces = 0;
  bool private_pids = false;  ///< init is pid 1 of a namespace of its own: its end is everyone's
  std::string uid_map{};  ///< of the container's user namespace as the kernel shows it, or empty
  std::string gid_map{};
  std::map<std::string, std::string> annotations{};
  bool has_poststart = false;  ///< start must read the intent's hooks
  bool has_poststop = false;   ///< delete must read the intent's hooks
  bool has_seccomp = false;    ///< the filter lies beside the record, for exec
  /// Memory limits as config.json and `update` have them, 0 where not set and -1 for none: memory,
  /// and memory and swap together. The kernel's files do not tell.
  std::int64_t memory_limit_bytes = 0;
  std::int64_t memory_swap_bytes = 0;
  ResctrlGroup resctrl{};
  bool operator==(const Record&) const = default;
};

/// A record together with what can be seen of the container now.
struct State {
  Record record{};
  Status status = Status::stopped;
};

}  // namespace tare
