#include "features/all.hpp"

#include <algorithm>

namespace tare {
namespace {

// The specification's major version: a runtime must refuse a config of another (config.md,
// "Specification version").
constexpr std::string_view kMajor = "1.";

std::string read_version(const spec::Reader& top) {
  const spec::Reader version = top.at("ociVersion");
  std::string text = version.string();
  const bool has_minor =
      text.size() > kMajor.size() && text[kMajor.size()] >= '0' && text[kMajor.size()] <= '9';
  if (!text.starts_with(kMajor) || !has_minor) {
    throw version.error("unsupported version of the specification: \"" + text + "\"");
  }
  return text;
}

void read_linux(const spec::Reader& linux_object, Spec& spec) {
  spec.namespaces = namespaces::read(linux_object);
  spec.id_map = id_map::read(linux_object);
  spec.devices = devices::read(linux_object);
  spec.masked_paths = masked_paths::read(linux_object);
  spec.sysctl = sysctl::read(linux_object);
  spec.net_devices = net_devices::read(linux_object);
  spec.cgroup = cgroup::read(linux_object);
  spec.cgroup_resources =
      cgroup_resources::read(linux_object, cgroup_pids::zero_of(spec.oci_version));
  spec.cgroup_devices = cgroup_devices::read(linux_object);
  spec.intel_rdt = intel_rdt::read(linux_object);
  spec.seccomp = seccomp::read(linux_object, spec.annotations);
  spec.time_offsets = time_offsets::read(linux_object);
  spec.mount_label = selinux::read_mount(linux_object, spec.annotations);
  read_process_part(linux_object, spec.process);
}

scheduler::Context scheduler_context(const Spec& spec) {
  const std::vector<cgroup_resources::Write>& writes = spec.cgroup_resources.writes;
  return {.cpus_limited = std::any_of(
              writes.begin(), writes.end(),
              [](const cgroup_resources::Write& write) { return write.file == "cpuset.cpus"; }),
          .forks_at_start = !spec.hooks.start_container.empty()};
}

// systemd is told of the limits too, so the two halves are planned together.
void plan_cgroup(const Spec& spec, const Host& host, const PlanOptions& options, Plan& plan) {
  plan.cgroup = cgroup::plan(spec.cgroup,
                             {.id = options.id,
                              .disabled = options.cgroup_disabled,
                              .systemd = options.systemd_cgroup,
                              .rootless = options.rootless},
                             host);
  plan.cgroup_resources = cgroup_resources::plan(spec.cgroup_resources, plan.cgroup, host);
  plan.cgroup_devices = cgroup_devices::plan(spec.cgroup_devices, host);
  if (plan.cgroup.unit.name.empty()) return;
  plan.cgroup_resources.writes = cgroup_systemd::rounded(std::move(plan.cgroup_resources.writes));
  plan.cgroup_systemd = cgroup_systemd::plan(plan.cgroup.unit, plan.cgroup.path,
                                             {.id = options.id,
                                              .annotations = spec.annotations,
                                              .resources = plan.cgroup_resources,
                                              .devices = plan.cgroup_devices});
}

void check_mount_namespace(const Plan& plan) {
  if (plan.namespaces.has(namespaces::Type::mount)) return;
  const bool needs_none = plan.mounts.mounts.empty() && !plan.rootfs.readonly &&
                          plan.masked_paths == masked_paths::Plan{};
  if (needs_none) return;
  throw Error(ErrorKind::spec,
              "config.json: mounts, a read-only root, maskedPaths and readonlyPaths need a private "
              "mount namespace",
              "add {\"type\": \"mount\"} to linux.namespaces");
}

}  // namespace

ProcessSpec read_process(const spec::Reader& process) {
  return {
      .environment = environment::read(process),
      .credentials = credentials::read(process),
      .capabilities = capabilities::read(process),
      .rlimits = rlimits::read(process),
      .oom_score = oom_score::read(process),
      .no_new_privileges = no_new_privileges::read(process),
      .terminal = terminal::read(process),
      .scheduler = scheduler::read(process),
      .io_priority = io_priority::read(process),
      .cpu_affinity = cpu_affinity::read(process),
      .apparmor = apparmor::read(process),
      .selinux = selinux::read(process),
  };
}

void read_process_part(const spec::Reader& linux_object, ProcessSpec& spec) {
  spec.personality = personality::read(linux_object);
  spec.memory_policy = memory_policy::read(linux_object);
}

Spec read_spec(const spec::Reader& top) {
  Spec spec;
  spec.oci_version = read_version(top);
  spec.annotations = annotations::read(top);
  spec.handler = handler::read(top);
  spec.process = read_process(top.at("process"));
  spec.rootfs = rootfs::read(top);
  spec.mounts = mounts::read(top);
  spec.hostname = hostname::read(top);
  spec.hooks = hooks::read(top);
  if (const std::optional<spec::Reader> linux_object = top.find("linux")) {
    read_linux(*linux_object, spec);
  } else {
    const spec::Document nothing("config.json", "{}");
    read_linux(nothing.top(), spec);
  }
  return spec;
}

HostQuestions questions_of(const ProcessSpec& spec) {
  return {.apparmor = !spec.apparmor.profile.empty(), .selinux = !spec.selinux.label.empty()};
}

HostQuestions questions_of(const Spec& spec, const PlanOptions& options) {
  HostQuestions questions = questions_of(spec.process);
  questions.own_cgroup = options.systemd_cgroup || !spec.cgroup.path.starts_with('/');
  questions.controllers = !spec.cgroup_resources.writes.empty();
  questions.resctrl = spec.intel_rdt.enabled;
  questions.selinux = questions.selinux || !spec.mount_label.label.empty();
  return questions;
}

ProcessPlan plan_process(const ProcessSpec& spec, const Host& host, const ProcessContext& context) {
  return {
      .environment = environment::plan(spec.environment),
      .credentials =
          credentials::plan(spec.credentials, context.id_map, context.user_namespace, host),
      .capabilities = capabilities::plan(spec.capabilities, host),
      .rlimits = rlimits::plan(spec.rlimits, context.user_namespace),
      .oom_score = oom_score::plan(spec.oom_score, host),
      .no_new_privileges = spec.no_new_privileges,
      .terminal = terminal::plan(spec.terminal),
      .keyring = keyring::plan({.keep = context.no_new_keyring,
                                .id = context.id,
                                .user_namespace = context.user_namespace}),
      .scheduler = scheduler::plan(spec.scheduler, host, context.scheduler),
      .io_priority = io_priority::plan(spec.io_priority, host),
      .cpu_affinity = spec.cpu_affinity,
      .personality = spec.personality,
      .memory_policy = spec.memory_policy,
      .apparmor = apparmor::plan(spec.apparmor, host),
      .selinux = selinux::plan(spec.selinux, host),
      .has_seccomp = context.has_seccomp,
  };
}

void add_from_caller(Spec& spec, const Host& host, const PlanOptions& options) {
  environment::add_listen_variables(spec.process.environment, options.listen_fds);
  spec.process.credentials.keep_groups = credentials::keeps_groups(spec.annotations);
  if (options.notify_directory.empty()) return;
  notify_socket::add_to(
      notify_socket::plan(options.notify_directory, namespaces::plan(spec.namespaces, host)),
      spec.mounts, spec.process.environment);
}

namespace {

// A hook that enters the container's mount namespace, or runs in it, expects the host's files there
// (config.md, "Hooks"); --no-pivot moves the host's root aside. In a user namespace a new procfs
// needs one that is in sight already (fs/namespace.c, mount_too_revealing).
bool needs_no_host_mounts(const Plan& plan, const Host& host) {
  using namespaces::Type;
  const hooks::Plan& hooks = plan.hooks;
  return plan.namespaces.creates(Type::mount) && !plan.namespaces.has(Type::user) &&
         !host.rootless && !plan.rootfs.no_pivot && hooks.prestart.empty() &&
         hooks.create_runtime.empty() && hooks.create_container.empty() &&
         !mounts::names_paths(plan.mounts);
}

}  // namespace

Plan make_plan(Spec&& spec, const Host& host, const PlanOptions& options) {
  Plan plan;
  plan.namespaces = namespaces::plan(spec.namespaces, host);
  plan.notify_socket = notify_socket::plan(options.notify_directory, plan.namespaces);
  plan.id_map = id_map::plan(spec.id_map, plan.namespaces, host);
  plan_cgroup(spec, host, options, plan);
  plan.intel_rdt = intel_rdt::plan(spec.intel_rdt, options.id, host);
  plan.mount_label = selinux::plan_mount(spec.mount_label, host);
  plan.rootfs =
      rootfs::plan(spec.rootfs, {.bundle = options.bundle, .no_pivot = options.no_pivot}, host);
  plan.mounts =
      mounts::plan(spec.mounts,
                   {.namespaces = plan.namespaces,
                    .bundle = options.bundle,
                    .cgroup_directory = plan.cgroup.enabled() ? plan.cgroup.directory() : "",
                    .label = plan.mount_label,
                    .rootfs = plan.rootfs,
                    .id_map = plan.id_map},
                   host);
  plan.devices = devices::plan(spec.devices, plan.namespaces, plan.mounts, host);
  plan.hostname = hostname::plan(spec.hostname, plan.namespaces);
  plan.sysctl = sysctl::plan(spec.sysctl, plan.namespaces, !spec.hostname.host.empty());
  plan.net_devices = net_devices::plan(spec.net_devices, plan.namespaces, host);
  plan.masked_paths = masked_paths::plan(spec.masked_paths, plan.mount_label);
  plan.cgroup_delegation = cgroup_delegation::plan({.annotations = spec.annotations,
                                                    .mounts = spec.mounts,
                                                    .namespaces = plan.namespaces,
                                                    .cgroup = plan.cgroup,
                                                    .uid = spec.process.credentials.uid},
                                                   host);
  plan.hooks = spec.hooks;
  plan.hooks.output = hooks::read_output(spec.annotations, options.bundle);
  plan.seccomp = seccomp::plan(std::move(spec.seccomp), host, options.seccomp_receiver);
  plan.time_offsets = time_offsets::plan(spec.time_offsets, plan.namespaces);
  plan.process = plan_process(spec.process, host,
                              {.user_namespace = plan.namespaces.has(namespaces::Type::user),
                               .id_map = plan.id_map,
                               .no_new_keyring = options.no_new_keyring,
                               .id = options.id,
                               .has_seccomp = plan.seccomp.enabled,
                               .scheduler = scheduler_context(spec)});
  plan.handler = handler::plan(spec.handler, plan.process.environment.arguments);
  plan.rootless = host.rootless;
  plan.rootfs.apart = needs_no_host_mounts(plan, host);
  check_mount_namespace(plan);
  return plan;
}

Explain explain_all(const Plan& plan) {
  Explain out;
  cgroup::explain(plan.cgroup, out);
  cgroup_systemd::explain(plan.cgroup_systemd, out);
  cgroup_resources::explain(plan.cgroup_resources, out);
  cgroup_devices::explain(plan.cgroup_devices, out);
  intel_rdt::explain(plan.intel_rdt, out);
  cgroup_delegation::explain(plan.cgroup_delegation, out);
  namespaces::explain(plan.namespaces, out);
  time_offsets::explain(plan.time_offsets, out);
  id_map::explain(plan.id_map, out);
  oom_score::explain(plan.process.oom_score, out);
  keyring::explain(plan.process.keyring, out);
  selinux::explain(plan.mount_label, out);
  if (plan.rootless) out.add("rootfs", "clone mounts in init: the caller is not root");
  rootfs::explain(plan.rootfs, out);
  mounts::explain(plan.mounts, out);
  devices::explain(plan.devices, out);
  terminal::explain(plan.process.terminal, out);
  net_devices::explain(plan.net_devices, out);
  notify_socket::explain(plan.notify_socket, out);
  hooks::explain(plan.hooks, out);
  hostname::explain(plan.hostname, out);
  sysctl::explain(plan.sysctl, out);
  masked_paths::explain(plan.masked_paths, out);
  apparmor::explain(plan.process.apparmor, out);
  selinux::explain(plan.process.selinux, out);
  environment::explain(plan.process.environment, out);
  handler::explain(plan.handler, out);
  rlimits::explain(plan.process.rlimits, out);
  personality::explain(plan.process.personality, out);
  memory_policy::explain(plan.process.memory_policy, out);
  credentials::explain(plan.process.credentials, out);
  capabilities::explain(plan.process.capabilities, out);
  no_new_privileges::explain(plan.process.no_new_privileges, out);
  seccomp::explain(plan.seccomp, out);
  scheduler::explain(plan.process.scheduler, out);
  io_priority::explain(plan.process.io_priority, out);
  cpu_affinity::explain(plan.process.cpu_affinity, out);
  return out;
}

}  // namespace tare
