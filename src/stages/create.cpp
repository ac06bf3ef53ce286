#include "stages/create.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <signal.h>

#include "stages/birth.hpp"
#include "stages/claim.hpp"
#include "stages/container_cgroup.hpp"
#include "stages/handover.hpp"
#include "stages/init.hpp"
#include "stages/lifecycle.hpp"
#include "stages/limits.hpp"
#include "state/record.hpp"
#include "state/start_gate.hpp"
#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/signals.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

// Cgroups, pid files and, as init inherits it, the directories that set-up makes are for others to
// read, whatever umask the caller has.
constexpr mode_t kOwnUmask = 0022;

InitTools open_tools(const CreateRequest& request, const Plan& plan, const Record& record,
                     sys::Fd channel, start_gate::Gate gate) {
  InitTools tools{
      .payload = {.channel = InitEnd(std::move(channel)),
                  .gate = std::move(gate),
                  .handler = handler::open_in_parent(plan.handler, plan.rootless),
                  .handler_name = plan.handler.name,
                  .preserve_fds = request.preserve_fds},
      .identity = record,
  };
  tools.payload.procfs = open_procfs(plan.process);
  if (!plan.hooks.create_container.empty() || !plan.hooks.start_container.empty()) {
    tools.payload.hook_output = hooks::open_output(plan.hooks.output);
  }
  tools.join = namespaces::open_in_parent(plan.namespaces);
  sysctl::check_in_parent(plan.sysctl, tools.join);
  tools.procfs = time_offsets::open_in_parent(plan.time_offsets);
  if (!plan.rootless) open_sources(plan, tools);
  if (!request.console_socket.empty()) {
    tools.console_socket = in_context([] { return "console socket"; },
                                      [&] { return sys::connect_unix(request.console_socket); });
  }
  return tools;
}

// `cgroup` is where init is born; with systemd it is made on the way.
sys::Child spawn_init(Made& made, InitTools& tools, sys::Fd& cgroup) {
  const Plan& plan = made.bundle.plan;
  // With the parent's end open in init as well, init could never see that the parent is gone.
  const auto body = [&] {
    made.channel.close();
    return init_main(plan, tools);
  };
  sys::CloneRequest request{.namespaces =
                                time_offsets::made_at_birth(plan.time_offsets, plan.namespaces)};
  if (cgroup) request.cgroup = cgroup.ref();
  if (tools.mount_namespace) request.namespaces &= ~std::uint64_t{CLONE_NEWNS};
  const bool in_scope = plan.cgroup_systemd.enabled();
  if (!plan.namespaces.needs_joiner() && !in_scope) {
    return sys::spawn(request, body);
  }
  const auto join = [&](sys::FdRef) {
    if (plan.namespaces.needs_joiner()) namespaces::join(std::exchange(tools.join, {}));
  };
  const auto place = [&](pid_t joiner) { cgroup = make_scope(plan, made.undo, joiner); };
  return spawn_through_joiner(request, join, body, made.record.cgroup_directory,
                              in_scope ? std::function<void(pid_t)>(place) : nullptr);
}

// Answers what init asks for until it is ready. Everything that init may not do itself happens
// here.
class Attendant {
 public:
  /// `cgroup` is the container's; no descriptor where it has none.
  Attendant(Made& made, const state::Store& store, sys::FdRef cgroup)
      : made_(made), store_(store), cgroup_(cgroup), mapped_(made.bundle.plan.mounts.id_maps) {}

  void until_ready() {
    made_.timings.steps.begin("attend init");
    if (!made_.bundle.plan.namespaces.creates(namespaces::Type::user)) work_beside_init();
    for (;;) {
      Request request = made_.channel.receive();
      if (request.kind == FromInit::ready) {
        made_.timings.init = decode_steps(request.text);
        return;
      }
      answer(request);
    }
  }

 private:
  void answer(Request& request) {
    const Plan& plan = made_.bundle.plan;
    switch (request.kind) {
      case FromInit::need_id_map:
        id_map::apply_in_parent(plan.id_map, made_.init.pid);
        made_.channel.send(ToInit::ids_mapped);
        work_beside_init();
        return;
      case FromInit::bring_up:
        namespaces::apply_in_parent(request.attached);
        return;
      case FromInit::map_mount:
        map_mount(request.text, request.attached);
        made_.channel.send(ToInit::mount_mapped);
        return;
      case FromInit::console:
        made_.console = std::move(request.attached);
        return;
      case FromInit::need_hooks:
        move_net_devices();
        run_hooks();
        made_.channel.send(ToInit::hooks_done);
        return;
      case FromInit::need_limits:
        rlimits::apply(plan.process.rlimits, made_.init.pid);
        made_.channel.send(ToInit::limits_set);
        return;
      case FromInit::need_filter:
        made_.channel.send(ToInit::filter, filter_);
        return;
      case FromInit::listener:
        hand_over_listener(request.text);
        made_.channel.send(ToInit::listener_sent);
        return;
      case FromInit::closed:
        throw death_of_init(made_.init, made_.record.cgroup_directory);
      case FromInit::joined:
      case FromInit::criu:
      case FromInit::ready:
      case FromInit::failed:
        break;
    }
    throw Error(ErrorKind::internal, "the container's init asked for what it may not ask for");
  }

  void map_mount(const std::string& field, sys::FdRef tree) {
    for (const mounts::Mount& mount : made_.bundle.plan.mounts.mounts) {
      if (mount.pointer == field && mount.id_map) return mapped_.apply(*mount.id_map, tree);
    }
    throw Error(ErrorKind::internal, "the container's init named a mount without mappings");
  }

  // While init mounts: what need not be there before init is.
  void work_beside_init() {
    made_.timings.steps.begin("device filter");
    filter_devices(made_.bundle.plan, cgroup_);
    if (made_.bundle.plan.seccomp.enabled) compile_filter();
    made_.timings.steps.begin("write the record");
    made_.directory.prepare_record(made_.record);
    made_.timings.steps.begin("attend init");
  }

  void compile_filter() {
    made_.timings.steps.begin("seccomp filter");
    const sys::Fd cache = store_.seccomp_cache();
    filter_ = seccomp::compile_cached(made_.bundle.plan.seccomp, cache);
    made_.directory.write_seccomp(filter_);
  }

  // Before the hooks, which may want to configure them. Init has joined its namespaces by now.
  void move_net_devices() {
    const Plan& plan = made_.bundle.plan;
    if (plan.net_devices.devices.empty()) return;
    const auto moved = std::make_shared<net_devices::Moved>(
        net_devices::apply_in_parent(plan.net_devices, made_.init.pid));
    made_.undo.add([moved] { moved->restore(); });
  }

  void hand_over_listener(const std::string& number) {
    const seccomp::Listener& listener = made_.bundle.plan.seccomp.listener;
    stages::hand_over_listener(made_.init, number, listener,
                               state::container_process_state(made_.record, Status::creating,
                                                              made_.init.pid, listener.metadata));
  }

  void run_hooks() {
    const std::string state = state::hook_state(made_.record, Status::creating);
    const hooks::Plan& hooks = made_.bundle.plan.hooks;
    const hooks::OutputFiles files = hooks::open_output(hooks.output);
    hooks::run(hooks::Stage::prestart, hooks.prestart, state, kHookDirectory, files);
    hooks::run(hooks::Stage::create_runtime, hooks.create_runtime, state, kHookDirectory, files);
  }

  Made& made_;
  const state::Store& store_;
  sys::FdRef cgroup_;
  id_mapped_mounts::UserNamespaces mapped_;
  std::string filter_;
};

void undo_hooks(Made& made) {
  const hooks::Plan& hooks = made.bundle.plan.hooks;
  if (hooks.poststop.empty()) return;
  // runtime.md, "Lifecycle": a create that fails once its hooks have begun still ends with
  // poststop.
  made.undo.add([&hooks, record = made.record] {
    hooks::run(hooks::Stage::poststop, hooks.poststop, state::hook_state(record, Status::stopped),
               kHookDirectory, hooks::open_output(hooks.output));
  });
}

// The maps of the container's user namespace. What a joined one maps can be seen once a process of
// ours is in it; the joiner that has made init was.
id_map::Plan find_ids(Made& made) {
  const Plan& plan = made.bundle.plan;
  if (!plan.id_map.joined) return plan.id_map;
  id_map::Plan found = id_map::check_joined_in_parent(plan.id_map, made.init.pid);
  credentials::check_ids(plan.process.credentials, found);
  made.record.uid_map = id_map::to_text(found.uids);
  made.record.gid_map = id_map::to_text(found.gids);
  return found;
}

// crun's annotation for what runc has the flag --pidfd-socket for; a relative path is one in the
// bundle.
std::string pidfd_receiver(const Record& record) {
  const auto found = record.annotations.find("run.oci.pidfd_receiver");
  if (found == record.annotations.end() || found->second.empty()) return {};
  return found->second.front() == '/' ? found->second : record.bundle + "/" + found->second;
}

// Everything after the claim. `far` is init's end of the channel.
void make_init(Made& made, const CreateRequest& request, Start start, const state::Store& store,
               sys::Fd far) {
  const Plan& plan = made.bundle.plan;
  Steps& steps = made.timings.steps;
  steps.begin("cgroup");
  sys::Fd cgroup;
  if (!plan.cgroup_systemd.enabled()) {
    cgroup = make_cgroup(plan, made.undo);
    // Rootless, and nothing is delegated: the container stays in the caller's cgroup.
    if (!cgroup) made.record.cgroup_directory.clear();
  }
  make_resctrl_group(plan, made.record, made.undo);
  steps.begin("open sources");
  start_gate::Gate gate;
  if (start == Start::later) gate = start_gate::make(made.directory.fd());
  InitTools tools = open_tools(request, plan, made.record, std::move(far), std::move(gate));
  tools.payload.steps = Steps(steps.kept());
  undo_hooks(made);
  steps.begin("clone");
  try {
    made.init = spawn_init(made, tools, cgroup);
  } catch (Error& error) {
    name_limit_of_clone(error, made.record.cgroup_directory, plan.namespaces.create);
    throw;
  }
  made.undo.add([&made] {
    sys::send_signal(made.init.pidfd, SIGKILL);
    sys::wait_for(made.init.pidfd);
  });
  steps.begin("attributes of init");
  tools.payload.channel.close();
  const id_map::Plan ids = find_ids(made);
  cgroup_delegation::apply_in_parent(plan.cgroup_delegation, cgroup, ids, made.init.pid);
  cpu_affinity::reset_in_parent(made.init.pid);
  oom_score::apply_in_parent(plan.process.oom_score, made.init.pid);
  intel_rdt::add_process(made.record.resctrl, made.init.pid);
  made.record.init = identity_of(made.init);
  in_context([] { return "error during container init"; },
             [&] {
               Attendant(made, store, cgroup).until_ready();
               prioritise_in_parent(plan.process, made.init.pid);
             });
  steps.begin("record and hand over");
  made.directory.publish_record();
  hand_over_process(made.init, request.pid_file, request.pidfd_socket, made.undo);
  if (const std::string receiver = pidfd_receiver(made.record); !receiver.empty()) {
    hand_over_process(made.init, "", receiver, made.undo);
  }
}

}  // namespace

void prepare_own_process() {
  sys::keep_ended_children();
  sys::set_umask(kOwnUmask);
}

std::unique_ptr<Made> make_container(const CreateRequest& request, Start start) {
  Timings timings(request.timings);
  timings.steps.begin("read and plan");
  Bundle bundle = load_bundle(request);
  timings.steps.begin("claim");
  check_console(bundle.plan.process.terminal.enabled, !request.console_socket.empty(),
                start != Start::now_attended);
  tell(bundle.plan.process, request.warn);
  const state::Store store(request.global);
  prepare_own_process();

  std::pair<sys::Fd, sys::Fd> ends = sys::socket_pair();
  auto made = std::make_unique<Made>(Made{.directory = store.claim(request.id),
                                          .bundle = std::move(bundle),
                                          .channel = ParentEnd(std::move(ends.first)),
                                          .timings = std::move(timings)});
  made->undo.add([directory = &made->directory] { directory->remove(); });
  made->record = record_of(request, made->bundle, made->directory.fd());
  made->directory.write_intent(intent_of(request, made->bundle, made->record));
  if (!made->bundle.plan.notify_socket.directory.empty()) {
    make_notify_directory(made->directory);
    if (start != Start::later) made->notify = open_notify(made->directory, request.notify_socket);
  }
  in_context([] { return "unable to start container process"; },
             [&] { make_init(*made, request, start, store, std::move(ends.second)); });
  return made;
}

void proceed(Made& made, Start start) {
  made.channel.send(ToInit::proceed);
  if (start == Start::later) return;
  made.timings.steps.begin("await execve");
  in_context([] { return "unable to start container process"; },
             [&] {
               made.channel.receive();
               check_executed(made.record.init, made.record.cgroup_directory);
             });
}

}  // namespace tare::stages
