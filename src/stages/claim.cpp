#include "stages/claim.hpp"

#include "features/criu_options.hpp"
#include "state/store.hpp"
#include "sys/clock.hpp"
#include "sys/process.hpp"

namespace tare::stages {

Intent intent_of(const CreateRequest& request, const Bundle& bundle, const Record& record) {
  const Plan& plan = bundle.plan;
  Outside outside =
      criu_options::plan(plan.mounts, plan.devices, plan.masked_paths, plan.namespaces);
  // Only now can it be known: the payload may give its streams others before it is dumped.
  if (!plan.process.terminal.enabled) outside.pipes = criu_options::own_pipes();
  return {
      .id = request.id,
      .bundle = request.bundle,
      .rootfs = plan.rootfs.path,
      .boot_id = record.boot_id,
      .cgroup_directory = plan.cgroup.enabled() ? plan.cgroup.directory() : "",
      .scope = record.scope,
      .hooks = plan.hooks == hooks::Plan{} ? "" : hooks::to_json(plan.hooks),
      .process = bundle.process,
      .namespaces = plan.namespaces.all(),
      .user_mapped = plan.namespaces.has(namespaces::Type::user),
      .setgroups_denied = plan.id_map.deny_setgroups,
      .rootless = plan.rootless,
      .linux_part = bundle.linux_part,
      .keyring_kept = !plan.process.keyring.new_session,
      .seccomp_listener = plan.seccomp.listener.path,
      .seccomp_metadata = plan.seccomp.listener.metadata,
      .resctrl = plan.intel_rdt.group,
      .outside = std::move(outside),
  };
}

Record record_of(const CreateRequest& request, const Bundle& bundle, sys::FdRef directory) {
  const Plan& plan = bundle.plan;
  return {
      .id = request.id,
      .oci_version = bundle.oci_version,
      .bundle = request.bundle,
      .rootfs = plan.rootfs.path,
      .created = sys::now_rfc3339_nanoseconds(),
      .boot_id = state::boot_of(directory).value_or(""),
      .owner = sys::own_user(),
      .cgroup_directory = plan.cgroup.enabled() ? plan.cgroup.directory() : "",
      .scope = {.name = plan.cgroup.unit.name, .user = plan.cgroup.unit.user},
      .namespaces = plan.namespaces.all(),
      .private_pids = plan.namespaces.creates(namespaces::Type::pid),
      .uid_map = id_map::to_text(plan.id_map.uids),
      .gid_map = id_map::to_text(plan.id_map.gids),
      .annotations = bundle.annotations,
      .has_poststart = !plan.hooks.poststart.empty(),
      .has_poststop = !plan.hooks.poststop.empty(),
      .has_seccomp = plan.seccomp.enabled,
      .memory_limit_bytes = plan.cgroup_resources.memory.limit_bytes,
      .memory_swap_bytes = plan.cgroup_resources.memory.swap_bytes,
  };
}

}  // namespace tare::stages
