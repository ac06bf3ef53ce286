#include "stages/init.hpp"

#include <fcntl.h>

#include "state/record.hpp"
#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/network.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

using namespaces::Type;

void await_id_map(const Plan& plan, const InitEnd& channel) {
  if (!plan.namespaces.creates(Type::user)) return;
  channel.send(FromInit::need_id_map);
  channel.expect(ToInit::ids_mapped);
}

// Whoever may make a network namespace may do this to it too (namespaces(7)), so the parent may.
void hand_over_network(const Plan& plan, const InitEnd& channel) {
  if (!plan.namespaces.creates(Type::network)) return;
  const sys::Fd socket = sys::network_socket();
  channel.send(FromInit::bring_up, "", socket);
}

void become_root_of_user_namespace(const Plan& plan) {
  if (!plan.namespaces.has(Type::user)) return;
  // Unmapped ids could own nothing that set-up makes.
  sys::set_gid(0);
  sys::set_uid(0);
}

sys::Root attach_root(const Plan& plan, InitTools& tools) {
  if (plan.namespaces.has(Type::mount)) {
    return rootfs::attach_in_init(plan.rootfs, std::move(tools.rootfs),
                                  std::move(tools.mount_namespace));
  }
  return sys::Root(sys::open_at(sys::FdRef::cwd(), plan.rootfs.path, O_PATH | O_DIRECTORY));
}

void enter_root(const Plan& plan, const sys::Root& root) {
  if (plan.namespaces.has(Type::mount)) return rootfs::enter_in_init(plan.rootfs, root);
  sys::change_root(root.fd());
}

void set_up_terminal(const Plan& plan, const InitTools& tools, const sys::Root& root,
                     const mounts::Made& made) {
  if (!plan.process.terminal.enabled) return;
  const terminal::Pty pty = made.devpts ? terminal::open(plan.process.terminal, root, made.devpts)
                                        : terminal::open(plan.process.terminal, root);
  terminal::mount_console(pty, root);
  hand_over_console(pty, tools);
  terminal::attach(pty, plan.process.credentials.uid);
}

// The parent answers each before the next: the order of mounts is that of config.json.
mounts::MapIds map_through(const InitEnd& channel) {
  return [&channel](const mounts::Mount& mount, sys::FdRef tree) {
    channel.send(FromInit::map_mount, mount.pointer, tree);
    channel.expect(ToInit::mount_mapped);
  };
}

void run_hooks_before_entry(const Plan& plan, InitTools& tools) {
  // Sysctls of a device, set below, need it to be there; and what createContainer's hooks may do
  // with devices, a filter says that the parent attaches meanwhile.
  if (!plan.hooks.prestart.empty() || !plan.hooks.create_runtime.empty() ||
      !plan.hooks.create_container.empty() || !plan.net_devices.devices.empty()) {
    tools.payload.channel.send(FromInit::need_hooks);
    tools.payload.channel.expect(ToInit::hooks_done);
  }
  if (plan.hooks.create_container.empty()) return;
  hooks::run(hooks::Stage::create_container, plan.hooks.create_container,
             state::hook_state(tools.identity, Status::creating), plan.rootfs.path,
             tools.payload.hook_output);
  // Files of the host stay open for hooks only that are still to come.
  if (plan.hooks.start_container.empty()) tools.payload.hook_output = {};
}

// One call a line; a comment only where the order is forced.
void set_up(const Plan& plan, InitTools& tools) {
  Steps& steps = tools.payload.steps;
  steps.begin("namespaces and root");
  sys::new_session();
  // With the rights that init was born with, and before anything could look at a clock.
  time_offsets::apply_in_init(plan.time_offsets, std::move(tools.procfs));
  namespaces::join(tools.join);
  // Podman gives directories above the rootfs to the container's root, mode 0700. Root of a user
  // namespace may search them once their owner is mapped in it (capabilities(7)), and not before.
  await_id_map(plan, tools.payload.channel);
  hand_over_network(plan, tools.payload.channel);
  if (plan.rootless) open_sources(plan, tools);
  // While this process still has its old ids: the path of the rootfs may be closed to the new ones.
  const sys::Root root = attach_root(plan, tools);
  become_root_of_user_namespace(plan);
  if (tools.payload.procfs) selinux::apply_to_keyring(plan.process.selinux, tools.payload.procfs);
  keyring::apply(plan.process.keyring);

  steps.begin("mounts");
  const mounts::Made made = mounts::apply_in_init(plan.mounts, root, std::move(tools.mount_sources),
                                                  map_through(tools.payload.channel));
  steps.begin("devices and terminal");
  devices::apply_in_init(plan.devices, root, std::move(tools.device_sources), made.dev);
  set_up_terminal(plan, tools, root, made);
  environment::make_directory_in_init(plan.process.environment, root);
  steps.begin("hooks");
  run_hooks_before_entry(plan, tools);
  steps.begin("enter the root");
  enter_root(plan, root);

  steps.begin("sysctl and masked paths");
  hostname::apply_in_init(plan.hostname);
  // Before the read-only paths: they freeze /proc/sys.
  sysctl::apply_in_init(plan.sysctl, mounts::find_proc(made));
  masked_paths::apply_in_init(plan.masked_paths, root, made.kernel_trees,
                              std::move(tools.null_device));
  mounts::finish_in_init(made);
  rootfs::finish_in_init(plan.rootfs, root);
}

}  // namespace

void open_sources(const Plan& plan, InitTools& tools) {
  if (!plan.namespaces.has(Type::mount)) return;
  tools.rootfs = rootfs::open_source(plan.rootfs);
  tools.mount_namespace = rootfs::find_namespace(plan.rootfs, tools.rootfs);
  tools.mount_sources = mounts::open_sources(plan.mounts);
  tools.device_sources = devices::open_sources(plan.devices);
  tools.null_device = masked_paths::open_source(plan.masked_paths);
}

void hand_over_console(const terminal::Pty& pty, const InitTools& tools) {
  if (tools.console_socket) {
    sys::send_message(tools.console_socket, pty.name, pty.master);
  } else {
    tools.payload.channel.send(FromInit::console, pty.name, pty.master);
  }
}

int init_main(const Plan& plan, InitTools& tools) noexcept {
  try {
    tools.identity.init.pid = sys::own_pid();
    if (!plan.hooks.start_container.empty()) {
      tools.payload.hooks = plan.hooks.start_container;
      tools.payload.hook_state = state::hook_state(tools.identity, Status::created);
    }
    set_up(plan, tools);
    become_payload(plan.process, tools.payload);
  } catch (const Error& error) {
    return report_failure(tools.payload, error);
  }
}

}  // namespace tare::stages
