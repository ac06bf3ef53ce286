#include "stages/exec.hpp"

#include <fcntl.h>
#include <signal.h>

#include <cerrno>

#include "stages/create.hpp"
#include "stages/exec_birth.hpp"
#include "stages/foreground.hpp"
#include "stages/handover.hpp"
#include "stages/lifecycle.hpp"
#include "stages/payload.hpp"
#include "stages/undo.hpp"
#include "state/record.hpp"
#include "state/store.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

constexpr std::size_t kMaxProcessFile = 16U << 20U;

void apply_flags(const ExecRequest& request, ProcessSpec& spec) {
  if (!request.arguments.empty()) spec.environment.arguments = request.arguments;
  if (request.directory) spec.environment.directory = *request.directory;
  environment::add_listen_variables(spec.environment, request.listen_fds);
  for (const std::string& variable : request.variables) {
    spec.environment.variables.push_back(variable);
  }
  if (request.user) {
    const credentials::User user = credentials::parse_user(*request.user);
    spec.credentials.uid = user.uid;
    if (user.gid) spec.credentials.gid = *user.gid;
  }
  for (const gid_t group : request.additional_gids)
    spec.credentials.additional_gids.push_back(group);
  if (!request.apparmor.empty()) {
    apparmor::check_name(request.apparmor);
    spec.apparmor.profile = request.apparmor;
  }
  if (!request.process_label.empty()) {
    selinux::check_label(request.process_label, "/process/selinuxLabel");
    spec.selinux.label = request.process_label;
  }
  if (request.no_new_privileges) spec.no_new_privileges.enabled = true;
  for (const std::string& name : request.capabilities) {
    // Never into the inheritable set, from which a file's own inheritable set would draw for a
    // process that is not root (CVE-2022-29162); into the ambient one where the container's config
    // has made it inheritable, as with runc.
    const capabilities::Set bit = capabilities::Set{1} << capabilities::parse_name(name);
    spec.capabilities.bounding |= bit;
    spec.capabilities.effective |= bit;
    spec.capabilities.permitted |= bit;
    spec.capabilities.ambient |= bit & spec.capabilities.inheritable;
  }
}

// What a process file leaves out of these is as for the container, as with runc: above all, one
// that says nothing of labels must not be freer than the container that it is added to.
ProcessSpec read_process_file(const ExecRequest& request, const Intent& intent) {
  const spec::Document own(
      request.process_file,
      sys::read_file(sys::FdRef::cwd(), request.process_file, kMaxProcessFile));
  ProcessSpec spec = read_process(own.top());
  const spec::Document config("process", intent.process);
  const auto left_out = [&own](const char* key) { return !own.top().find(key); };
  if (left_out("scheduler")) spec.scheduler = scheduler::read(config.top());
  if (left_out("ioPriority")) spec.io_priority = io_priority::read(config.top());
  if (left_out("execCPUAffinity")) spec.cpu_affinity = cpu_affinity::read(config.top());
  if (spec.apparmor.profile.empty()) spec.apparmor = apparmor::read(config.top());
  if (spec.selinux.label.empty()) spec.selinux = selinux::read(config.top());
  return spec;
}

ProcessSpec read_process_spec(const ExecRequest& request, const Intent& intent) {
  if (!request.process_file.empty()) return read_process_file(request, intent);
  const spec::Document document("process", intent.process);
  ProcessSpec spec = read_process(document.top());
  // Without --tty the container's own wish for a terminal does not count: the new process has its
  // own.
  spec.terminal.enabled = request.terminal;
  return spec;
}

struct Found {
  state::ContainerDirectory directory;
  Record record;
  Intent intent;
  sys::Fd init;
};

// The agent gets the listener of each process that is added, beside init's.
void hand_over_listener(const Found& found, const sys::Child& process, const std::string& number) {
  const seccomp::Listener listener{.path = found.intent.seccomp_listener,
                                   .metadata = found.intent.seccomp_metadata};
  const Status status = observe(found.directory, found.record);
  stages::hand_over_listener(
      process, number, listener,
      state::container_process_state(found.record, status, process.pid, listener.metadata));
}

// Whether the parent has something to do before the payload runs, but for what it does at once.
bool waits_for_parent(const ProcessPlan& plan, const Intent& intent) {
  return plan.terminal.enabled || plan.rlimits.from_parent || plan.scheduler.from_parent ||
         plan.io_priority.from_parent || !intent.seccomp_listener.empty();
}

// A process that has died meanwhile tells of it by its closed channel.
void let_go(const ParentEnd& channel) {
  try {
    channel.send(ToInit::proceed);
  } catch (const Error& error) {
    if (error.errno_value() != EPIPE && error.errno_value() != ECONNRESET) throw;
  }
}

// Answers what the process asks for until it is ready, lets it go, and awaits its execve. Where it
// need not be waited for it finds the word to go on when it comes to it, and nobody has to wake.
std::optional<sys::Fd> attend_until_executed(const ProcessPlan& plan, ParentEnd& channel,
                                             const sys::Child& process, bool attended,
                                             const Found& found, Timings& timings) {
  timings.steps.begin("attend the process");
  std::optional<sys::Fd> console;
  const bool waits = waits_for_parent(plan, found.intent);
  if (!waits) let_go(channel);
  for (bool ready = false;;) {
    Request request = channel.receive();
    switch (request.kind) {
      case FromInit::console:
        // Before the payload runs, so that it never sees another size.
        if (attended) make_ready(request.attached);
        console = std::move(request.attached);
        break;
      case FromInit::need_limits:
        rlimits::apply(plan.rlimits, process.pid);
        channel.send(ToInit::limits_set);
        break;
      case FromInit::listener:
        hand_over_listener(found, process, request.text);
        channel.send(ToInit::listener_sent);
        break;
      case FromInit::ready:
        ready = true;
        timings.init = decode_steps(request.text);
        timings.steps.begin("await execve");
        if (!waits) break;
        prioritise_in_parent(plan, process.pid);
        channel.send(ToInit::proceed);
        break;
      case FromInit::closed:
        if (ready) return console;
        throw death_of_init(process, "");
      case FromInit::joined:
      case FromInit::criu:
      case FromInit::need_filter:
      case FromInit::need_id_map:
      case FromInit::bring_up:
      case FromInit::map_mount:
      case FromInit::need_hooks:
      case FromInit::failed:
        throw Error(ErrorKind::internal, "the new process asked for what it may not ask for");
    }
  }
}

Found find_container(const ExecRequest& request) {
  const state::Store store(request.global);
  state::ContainerDirectory directory = store.open(request.id, state::Lock::shared);
  Record record = read_record(directory);
  std::optional<sys::Fd> init = find_init(directory, record);
  if (!init) throw Error(ErrorKind::state, "cannot exec in a stopped container");
  if (!request.ignore_paused && is_paused(record)) {
    throw Error(ErrorKind::state,
                "cannot exec in a paused container (use --ignore-paused to override)");
  }
  std::optional<Intent> intent = directory.find_intent();
  if (!intent) throw Error(ErrorKind::state, "the container's intent is missing");
  return {std::move(directory), std::move(record), std::move(*intent), std::move(*init)};
}

// Who may enter what root of the initial user namespace has made is that itself: setns(2) asks for
// rights over the namespaces, which are the initial one's or a child's of it. So nobody has to ask.
HostQuestions questions_of_exec(const ProcessSpec& spec, const Intent& intent) {
  HostQuestions questions = questions_of(spec);
  questions.user_namespace = intent.rootless;
  questions.cgroup_layout = false;  // the record has the container's cgroup
  return questions;
}

}  // namespace

ProcessPlan plan_exec(const ExecRequest& request, const Intent& intent, const Record& record) {
  ProcessSpec spec = read_process_spec(request, intent);
  if (!intent.linux_part.empty()) {
    const spec::Document linux_part("linux", intent.linux_part);
    read_process_part(linux_part.top(), spec);
  }
  apply_flags(request, spec);
  spec.credentials.keep_groups = credentials::keeps_groups(record.annotations);
  const id_map::Plan maps{.uids = id_map::from_text(record.uid_map),
                          .gids = id_map::from_text(record.gid_map),
                          .joined = intent.user_mapped,
                          .deny_setgroups = intent.setgroups_denied};
  ProcessPlan plan = plan_process(spec, probe_host(questions_of_exec(spec, intent)),
                                  {.user_namespace = intent.user_mapped,
                                   .id_map = maps,
                                   .no_new_keyring = intent.keyring_kept,
                                   .id = record.id,
                                   .has_seccomp = record.has_seccomp});
  // The keyring is there since create, with the rights that it has.
  plan.keyring.permissions = 0;
  // The process itself has by then given up what raising a hard limit takes.
  plan.rlimits.from_parent = !plan.rlimits.limits.empty();
  return plan;
}

Added add_process(const ExecRequest& request) {
  Timings timings(request.timings);
  timings.steps.begin("find and plan");
  prepare_own_process();
  Found found = find_container(request);
  // Everything is read, and the pidfd cannot come to mean another: a paused container's resume must
  // not wait for this.
  found.directory.unlock();
  const ProcessPlan plan = plan_exec(request, found.intent, found.record);
  check_console(plan.terminal.enabled, !request.console_socket.empty(), request.detach);
  tell(plan, request.warn);
  return in_context(
      [] { return "unable to start container process"; },
      [&] {
        auto [near, far] = sys::socket_pair();
        ParentEnd channel(std::move(near));
        ExecTools tools{
            .payload = {.channel = InitEnd(std::move(far)), .preserve_fds = request.preserve_fds},
            .init = std::move(found.init),
            .namespaces = found.record.namespaces,
            .user_namespace = found.intent.user_mapped};
        if (!request.console_socket.empty()) {
          tools.console_socket = sys::connect_unix(request.console_socket);
        }
        // Read here, nobody has to ask for it and wait.
        if (plan.has_seccomp) tools.payload.filter = found.directory.read_seccomp();
        tools.payload.steps = Steps(timings.steps.kept());
        timings.steps.begin("joiner and clone");
        cpu_affinity::apply_before_birth(plan.cpu_affinity);
        Added added{.process = spawn_process(request, found.record, plan, tools)};
        Undo undo;
        undo.add([&process = added.process] {
          sys::send_signal(process.pidfd, SIGKILL);
          sys::wait_for(process.pidfd);
        });
        tools.payload.channel.close();
        cpu_affinity::apply_after_birth(plan.cpu_affinity, added.process.pid);
        oom_score::apply_in_parent(plan.oom_score, added.process.pid);
        intel_rdt::add_process(found.record.resctrl, added.process.pid);
        added.console =
            attend_until_executed(plan, channel, added.process, !request.detach, found, timings);
        timings.steps.begin("hand over");
        hand_over_process(added.process, request.pid_file, request.pidfd_socket, undo);
        timings.write();
        undo.commit();
        return added;
      });
}

}  // namespace tare::stages
