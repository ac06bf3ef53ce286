#include "stages/payload.hpp"

#include <fcntl.h>
#include <linux/capability.h>

#include <cerrno>

#include "features/stdio.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/procfs.hpp"
#include "sys/signals.hpp"

namespace tare::stages {
namespace {

constexpr int kFirstAfterStdio = 3;

// From here on the process can be inspected from inside the container (at the gate for as long as
// its caller likes), so nothing of the host may be left open: CVE-2024-21626 was a directory of the
// host. What is preserved came to us across an execve, and goes on across the next; what only holds
// a number between such descriptors does not.
void close_what_is_ours(const PayloadTools& tools) {
  sys::close_from(kFirstAfterStdio + tools.preserve_fds,
                  {tools.channel.fd().number(), tools.gate.go.number(), tools.gate.answer.number(),
                   tools.handler.number(), tools.hook_output.standard.number(),
                   tools.hook_output.error.number()});
}

// A directory that only root may enter is entered as root; one that only the user may enter (a home
// on NFS) is left for later.
bool enter_directory_as_root(const environment::Plan& plan) {
  try {
    environment::enter_directory(plan);
    return true;
  } catch (const Error& error) {
    if (error.errno_value() != EACCES && error.errno_value() != EPERM) throw;
    return false;
  }
}

std::vector<std::string> environment_of(const ProcessPlan& plan) {
  std::vector<std::string> variables = plan.environment.variables;
  if (plan.environment.needs_home) {
    const sys::Root root(sys::open_at(sys::FdRef::cwd(), "/", O_PATH | O_DIRECTORY));
    variables.push_back("HOME=" + environment::home_of(root, plan.credentials.uid));
  }
  return variables;
}

void set_limits(const ProcessPlan& plan, const InitEnd& channel) {
  if (!plan.rlimits.from_parent) return rlimits::apply(plan.rlimits, 0);
  channel.send(FromInit::need_limits);
  channel.expect(ToInit::limits_set);
}

// Before the filter, which may forbid every one of these calls.
void set_attributes(const ProcessPlan& plan) {
  scheduler::apply_in_process(plan.scheduler);
  io_priority::apply_in_process(plan.io_priority);
  personality::apply(plan.personality);
  memory_policy::apply(plan.memory_policy);
}

std::optional<seccomp::Filter> find_filter(const ProcessPlan& plan, const PayloadTools& tools) {
  if (!plan.has_seccomp) return std::nullopt;
  if (!tools.filter.empty()) return seccomp::Filter::decode(tools.filter);
  tools.channel.send(FromInit::need_filter);
  return seccomp::Filter::decode(tools.channel.expect_text(ToInit::filter));
}

enum class LoadAt { never, before_user, before_gate, last };

// Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before the capabilities go; with
// it, last, so that it need not allow what set-up does (seccomp(2), SECCOMP_SET_MODE_FILTER). But
// its listener is for the parent to hand over, which is gone once a created container waits.
LoadAt when_to_load(const std::optional<seccomp::Filter>& filter, const ProcessPlan& plan) {
  if (!filter) return LoadAt::never;
  if (!plan.no_new_privileges.enabled) return LoadAt::before_user;
  return filter->listens() ? LoadAt::before_gate : LoadAt::last;
}

void load_filter(const seccomp::Filter& filter, const InitEnd& channel) {
  const sys::Fd listener = seccomp::load(filter);
  if (!listener) return;
  // Nothing but this write until the parent has answered: any other system call may be one that
  // waits for an agent who does not have the listener yet. (The text is too short to be allocated.)
  channel.send(FromInit::listener, std::to_string(listener.number()));
  channel.expect(ToInit::listener_sent);
}

void pass_gate(PayloadTools& tools) {
  // What comes after it is in the parent's own step, which ends at execve.
  tools.channel.send(FromInit::ready, tools.steps.encode());
  if (!tools.gate) sys::reset_dispositions();  // while the parent does its part
  tools.channel.expect(ToInit::proceed);
  if (!tools.gate) return;
  tools.channel.close();
  start_gate::await(tools.gate);
}

// A startContainer hook without an environment of its own gets the process's, as with runc: it runs
// in the container, where PATH and HOME mean something.
void run_hooks(const PayloadTools& tools, const std::vector<std::string>& variables) {
  std::vector<hooks::Hook> all = tools.hooks;
  for (hooks::Hook& hook : all) {
    if (hook.environment.empty()) hook.environment = variables;
  }
  hooks::run(hooks::Stage::start_container, all, tools.hook_state, "/", tools.hook_output);
}

// Gives the file that is to be executed, or nothing for a handler, for which the program is a
// matter of its own.
std::string find_program(const ProcessPlan& plan, const PayloadTools& tools) {
  return tools.handler ? std::string() : environment::find_executable(plan.environment);
}

[[noreturn]] void execute(const std::string& path, const ProcessPlan& plan,
                          const PayloadTools& tools, const std::vector<std::string>& variables) {
  if (!tools.handler) {
    const int number = sys::execute(path, plan.environment.arguments, variables);
    throw environment::explain_exec_failure(path, number);
  }
  std::vector<std::string> arguments = {tools.handler_name};
  arguments.insert(arguments.end(), plan.environment.arguments.begin(),
                   plan.environment.arguments.end());
  const int number = sys::execute_descriptor(tools.handler, arguments, variables);
  throw Error::from_errno(number, "execveat of the handler \"" + tools.handler_name + "\"");
}

}  // namespace

void tell(const ProcessPlan& plan, const Warn& warn) {
  if (!warn) return;
  for (const std::string& warning : plan.capabilities.warnings) warn(warning);
}

capabilities::Set needed_by_payload(const ProcessPlan& plan) {
  if (!plan.has_seccomp || plan.no_new_privileges.enabled) return 0;
  return capabilities::Set{1} << CAP_SYS_ADMIN;
}

void prioritise_in_parent(const ProcessPlan& plan, pid_t pid) {
  scheduler::apply_in_parent(plan.scheduler, pid);
  io_priority::apply_in_parent(plan.io_priority, pid);
}

sys::Fd open_procfs(const ProcessPlan& plan) {
  if (plan.apparmor == apparmor::Plan{} && plan.selinux == selinux::Plan{}) return sys::Fd();
  return sys::open_procfs();
}

void apply_labels(const ProcessPlan& plan, const sys::Fd& procfs) {
  if (!procfs) return;
  apparmor::apply(plan.apparmor, procfs);
  selinux::apply(plan.selinux, procfs);
}

void become_payload(const ProcessPlan& plan, PayloadTools& tools) {
  // After the hooks of set-up, which are the host's programs, and before no_new_privs, with which
  // AppArmor would refuse a profile that is not narrower.
  tools.steps.begin("labels and limits");
  apply_labels(plan, tools.procfs);
  const std::vector<std::string> variables = environment_of(plan);
  const bool entered = tools.entered || enter_directory_as_root(plan.environment);
  close_what_is_ours(tools);
  set_limits(plan, tools.channel);
  set_attributes(plan);
  tools.steps.begin("await the filter");
  const std::optional<seccomp::Filter> filter = find_filter(plan, tools);

  tools.steps.begin("user and capabilities");
  const LoadAt load_at = when_to_load(filter, plan);
  if (!tools.narrowed) {
    stdio::apply(plan.credentials.uid);
    capabilities::narrow(plan.capabilities, needed_by_payload(plan));
  }
  capabilities::keep_across_user_change();
  if (load_at == LoadAt::before_user) load_filter(*filter, tools.channel);
  credentials::apply(plan.credentials);
  capabilities::apply(plan.capabilities);
  if (!entered) environment::enter_directory(plan.environment);
  const std::string path = find_program(plan, tools);
  no_new_privileges::apply(plan.no_new_privileges);

  if (tools.gate) {
    sys::reset_dispositions();
    sys::end_at_termination();
  }
  if (load_at == LoadAt::before_gate) load_filter(*filter, tools.channel);
  pass_gate(tools);
  if (load_at == LoadAt::last) load_filter(*filter, tools.channel);
  // Under the filter, as with runc: what the payload may not do, its hooks may not do for it.
  if (!tools.hooks.empty()) run_hooks(tools, variables);
  sys::unblock_signals();
  execute(path, plan, tools, variables);
}

int report_failure(const PayloadTools& tools, const Error& error) noexcept {
  if (tools.channel.is_open()) {
    tools.channel.send_failure(error);
    return 1;
  }
  try {
    start_gate::answer(tools.gate, error);
  } catch (const Error&) {
    // The filter forbids it: the exit status has to do.
    return 126;
  }
  return error.errno_value() == ENOENT ? 127 : 126;
}

}  // namespace tare::stages
