/// The registry: every feature once in each of Spec, Plan, read, plan and explain. Adding a feature
/// is a line in each, and one in stages/init.cpp, where it runs being for a person to decide.
///
/// Spec is config.json with its types checked; Plan is what will be done, decided, as plain data.
/// Nothing right of Plan reads Spec or config.json, and planning makes no system call.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "features/annotations.hpp"
#include "features/apparmor.hpp"
#include "features/capabilities.hpp"
#include "features/cgroup.hpp"
#include "features/cgroup_delegation.hpp"
#include "features/cgroup_devices.hpp"
#include "features/cgroup_resources.hpp"
#include "features/cgroup_systemd.hpp"
#include "features/cpu_affinity.hpp"
#include "features/credentials.hpp"
#include "features/devices.hpp"
#include "features/environment.hpp"
#include "features/explain.hpp"
#include "features/handler.hpp"
#include "features/hooks.hpp"
#include "features/hostname.hpp"
#include "features/id_map.hpp"
#include "features/intel_rdt.hpp"
#include "features/io_priority.hpp"
#include "features/keyring.hpp"
#include "features/masked_paths.hpp"
#include "features/memory_policy.hpp"
#include "features/mounts.hpp"
#include "features/namespaces.hpp"
#include "features/net_devices.hpp"
#include "features/no_new_privileges.hpp"
#include "features/notify_socket.hpp"
#include "features/oom_score.hpp"
#include "features/personality.hpp"
#include "features/rlimits.hpp"
#include "features/rootfs.hpp"
#include "features/scheduler.hpp"
#include "features/seccomp.hpp"
#include "features/selinux.hpp"
#include "features/sysctl.hpp"
#include "features/terminal.hpp"
#include "features/time_offsets.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"

namespace tare {

/// What holds for one process of a container, its first or one that exec adds.
struct ProcessSpec {
  environment::Spec environment{};
  credentials::Spec credentials{};
  capabilities::Spec capabilities{};
  rlimits::Spec rlimits{};
  oom_score::Spec oom_score{};
  no_new_privileges::Plan no_new_privileges{};
  terminal::Spec terminal{};
  scheduler::Spec scheduler{};
  io_priority::Spec io_priority{};
  cpu_affinity::Plan cpu_affinity{};
  personality::Plan personality{};      ///< of `linux`; holds for every process
  memory_policy::Plan memory_policy{};  ///< likewise
  apparmor::Spec apparmor{};
  selinux::Spec selinux{};
};

struct ProcessPlan {
  environment::Plan environment{};
  credentials::Plan credentials{};
  capabilities::Plan capabilities{};
  rlimits::Plan rlimits{};
  oom_score::Plan oom_score{};
  no_new_privileges::Plan no_new_privileges{};
  terminal::Plan terminal{};
  keyring::Plan keyring{};
  scheduler::Plan scheduler{};
  io_priority::Plan io_priority{};
  cpu_affinity::Plan cpu_affinity{};
  personality::Plan personality{};
  memory_policy::Plan memory_policy{};
  apparmor::Plan apparmor{};
  selinux::Plan selinux{};
  bool has_seccomp = false;  ///< a filter is loaded; exec takes the one that create has compiled
  bool operator==(const ProcessPlan&) const = default;
};

struct Spec {
  std::string oci_version{};
  std::map<std::string, std::string> annotations{};
  ProcessSpec process{};
  handler::Spec handler{};
  rootfs::Spec rootfs{};
  mounts::Spec mounts{};
  hostname::Spec hostname{};
  hooks::Plan hooks{};
  namespaces::Spec namespaces{};
  id_map::Spec id_map{};
  devices::Spec devices{};
  masked_paths::Spec masked_paths{};
  sysctl::Spec sysctl{};
  net_devices::Spec net_devices{};
  cgroup::Spec cgroup{};
  cgroup_resources::Spec cgroup_resources{};
  cgroup_devices::Spec cgroup_devices{};
  intel_rdt::Spec intel_rdt{};
  seccomp::Spec seccomp{};
  time_offsets::Spec time_offsets{};
  selinux::MountSpec mount_label{};
};

struct Plan {
  ProcessPlan process{};
  handler::Plan handler{};
  rootfs::Plan rootfs{};
  mounts::Plan mounts{};
  hostname::Plan hostname{};
  hooks::Plan hooks{};
  namespaces::Plan namespaces{};
  id_map::Plan id_map{};
  devices::Plan devices{};
  masked_paths::Plan masked_paths{};
  sysctl::Plan sysctl{};
  net_devices::Plan net_devices{};
  cgroup::Plan cgroup{};
  cgroup_resources::Plan cgroup_resources{};
  cgroup_devices::Plan cgroup_devices{};
  intel_rdt::Plan intel_rdt{};
  cgroup_delegation::Plan cgroup_delegation{};
  cgroup_systemd::Plan cgroup_systemd{};
  seccomp::Plan seccomp{};
  time_offsets::Plan time_offsets{};
  selinux::MountPlan mount_label{};
  notify_socket::Plan notify_socket{};
  /// The caller is not root of the initial user namespace. Then only init, with its new user
  /// namespace's rights over its new mount namespace, may clone mounts. Otherwise the parent does,
  /// so that init needs no path of the host.
  bool rootless = false;
  bool operator==(const Plan&) const = default;
};

/// What of the command line has a say in the Plan.
struct PlanOptions {
  std::string id{};
  std::string bundle{};  ///< absolute
  bool no_pivot = false;
  bool no_new_keyring = false;
  int listen_fds = 0;              ///< sockets that a service manager has passed to us
  std::string notify_directory{};  ///< absolute; empty where nobody is to be notified
  bool cgroup_disabled = false;
  bool systemd_cgroup = false;
  std::optional<bool> rootless{};  ///< --rootless: whether a cgroup may be refused; nullopt is auto
  std::string seccomp_receiver{};  ///< RUN_OCI_SECCOMP_RECEIVER
};

/// Reads the whole of config.json. Throws Error(spec), and Error(unsupported) for what is not there
/// yet.
Spec read_spec(const spec::Reader& top);
/// Reads the object `process`, of config.json or of exec's own file.
ProcessSpec read_process(const spec::Reader& process);
/// Reads what the object `linux` says about every process of the container. Throws Error(spec).
void read_process_part(const spec::Reader& linux_object, ProcessSpec& spec);

/// The facts that planning this Spec needs of the machine.
HostQuestions questions_of(const Spec& spec, const PlanOptions& options);
/// The same for a process alone.
HostQuestions questions_of(const ProcessSpec& spec);

/// Adds to config.json what the caller's environment and the annotations ask for: sockets, a socket
/// to notify by, groups to keep. Once, before make_plan.
void add_from_caller(Spec& spec, const Host& host, const PlanOptions& options);

/// Decides everything, and takes over of the Spec what is large. Pure: no system call. Throws
/// Error(spec or unsupported).
Plan make_plan(Spec&& spec, const Host& host, const PlanOptions& options);

/// What a process's Plan needs to know of its container.
struct ProcessContext {
  bool user_namespace = false;
  const id_map::Plan& id_map;
  bool no_new_keyring = false;
  std::string id{};  ///< the container's
  bool has_seccomp = false;
  scheduler::Context scheduler{};
};
/// Decides what holds for one process. Pure. Throws Error(spec or unsupported).
ProcessPlan plan_process(const ProcessSpec& spec, const Host& host, const ProcessContext& context);

/// Every effect of the Plan, in the order in which the effects take place.
Explain explain_all(const Plan& plan);

}  // namespace tare
