#include "stages/exec_birth.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>

#include <cerrno>

#include "features/cgroup_systemd.hpp"
#include "features/stdio.hpp"
#include "stages/birth.hpp"
#include "stages/exec_cgroup.hpp"
#include "stages/limits.hpp"
#include "sys/borrower.hpp"
#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/path.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

constexpr int kFirstAfterStdio = 3;

sys::Root container_root() {
  return sys::Root(sys::open_at(sys::FdRef::cwd(), "/", O_PATH | O_DIRECTORY));
}

int exec_main(const ProcessPlan& plan, ExecTools& tools) noexcept {
  try {
    tools.payload.steps.begin("session and terminal");
    sys::new_session();
    keyring::apply(plan.keyring);
    if (plan.terminal.enabled) {
      const sys::Root root = container_root();
      const terminal::Pty pty = terminal::open(plan.terminal, root);
      if (tools.console_socket) {
        sys::send_message(tools.console_socket, pty.name, pty.master);
      } else {
        tools.payload.channel.send(FromInit::console, pty.name, pty.master);
      }
      terminal::attach(pty, plan.credentials.uid);
    }
    become_payload(plan, tools.payload);
  } catch (const Error& error) {
    return report_failure(tools.payload, error);
  }
}

// What the process itself does with a capability, beyond the change of its user.
capabilities::Set still_needed(const ProcessPlan& plan) {
  capabilities::Set set = needed_by_payload(plan);
  if (plan.terminal.enabled) set |= capabilities::Set{1} << CAP_CHOWN;
  return set;
}

// While nothing of the container can be in the way. What the joiner makes inherits the wish, and
// is where the labels take effect; the joiner itself executes nothing.
void ask_for_labels(const ProcessPlan& plan) {
  const sys::Fd procfs = open_procfs(plan);
  if (!procfs) return;
  selinux::apply_to_keyring(plan.selinux, procfs);
  apply_labels(plan, procfs);
}

// With the rights of set-up: the directory may be open to its owner alone, who is not the user of
// this process, which may be root without CAP_DAC_OVERRIDE. What cannot be entered from here (a
// path below /proc/self, say) the process itself tries, and tells of.
bool enter_directory(const ProcessPlan& plan, const ExecTools& tools) {
  if ((tools.namespaces & CLONE_NEWNS) == 0) return false;
  try {
    environment::enter_directory(plan.environment);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Close-on-exec does not do: the container sees the process before its execve, and with
// CAP_SYS_PTRACE may walk from a directory that it has open to any other (CVE-2016-9962 was one of
// the state directory).
void close_what_is_the_hosts(const ExecTools& tools, sys::FdRef to_parent) {
  const PayloadTools& payload = tools.payload;
  sys::close_from(kFirstAfterStdio + payload.preserve_fds,
                  {payload.channel.fd().number(), to_parent.number(), tools.init.number(),
                   tools.console_socket.number()});
}

// In the joiner, which no process of the container can see: its pid namespace is the runtime's.
// What it makes is born inside with no descriptor of the host, not dumpable, and with no more
// capabilities than set-up still needs (CVE-2016-9962).
void enter_container(const ProcessPlan& plan, ExecTools& tools, sys::FdRef to_parent) {
  // Before it gives anything up: who has no fewer rights than a process, and its user, may trace it
  // where it is dumpable (ptrace(2), "Ptrace access mode checking"), by a /proc of the host too.
  sys::set_dumpable(false);
  ask_for_labels(plan);
  close_what_is_the_hosts(tools, to_parent);
  sys::join_namespaces(tools.init, static_cast<int>(tools.namespaces));
  // By its number: the object is the parent's as well, where the memory is.
  sys::Fd(tools.init.number()).reset();
  if (tools.user_namespace) {
    sys::set_gid(0);
    sys::set_uid(0);
    // A change of ids sets it anew, to what /proc/sys/fs/suid_dumpable says.
    sys::set_dumpable(false);
  }
  stdio::apply(plan.credentials.uid);
  tools.payload.entered = enter_directory(plan, tools);
  capabilities::narrow(plan.capabilities, still_needed(plan));
  tools.payload.narrowed = true;
}

// Whether the joiner may have the parent's memory, which costs a third. It may where whoever could
// trace it could trace the parent: it stays in the parent's user namespace, is not dumpable (nor is
// the parent from then on), and is in no pid namespace of the container's. And a time namespace is
// joined only by who shares memory with nobody (timens_install, kernel/time/namespace.c).
bool may_borrow(const ExecTools& tools) {
  constexpr std::uint64_t kForbidden = CLONE_NEWUSER | CLONE_NEWTIME;
  return sys::kLendsMemory && !tools.user_namespace && (tools.namespaces & kForbidden) == 0 &&
         (tools.namespaces & CLONE_NEWPID) != 0;
}

sys::Child spawn_in(const Place& place, const ProcessPlan& plan, ExecTools& tools) {
  // The parent's end of the process's own channel goes with the rest of what is closed there.
  const auto join = [&](sys::FdRef to_parent) { enter_container(plan, tools, to_parent); };
  const auto body = [&] { return exec_main(plan, tools); };
  sys::CloneRequest request;
  if (place.cgroup) request.cgroup = place.cgroup.ref();
  try {
    if (!may_borrow(tools)) return spawn_through_joiner(request, join, body, "");
    return spawn_through_borrower(
        request.cgroup, [&] { join(sys::FdRef(-1)); }, body);
  } catch (const Error& error) {
    // A plain user may not move a process from a login's cgroup into one of the user's own systemd
    // (cgroups(7), "Delegation containment"), but may have systemd do so.
    const bool outside = error.errno_value() == EACCES || error.errno_value() == EPERM;
    if (!place.scope.user || !outside) throw;
  }
  return spawn_through_joiner({}, join, body, "", [&](pid_t joiner) {
    cgroup_systemd::attach({.name = place.scope.name, .user = true}, place.inner, joiner);
  });
}

}  // namespace

sys::Child spawn_process(const ExecRequest& request, const Record& record, const ProcessPlan& plan,
                         ExecTools& tools) {
  try {
    return spawn_in(open_cgroup(request, record), plan, tools);
  } catch (Error& error) {
    name_limit_of_clone(error, record.cgroup_directory, 0);
    // A container that passes controllers on to cgroups of its own has no process in its own one,
    // and may not have (cgroup-v2.rst, "No Internal Process Constraint"). clone3 has done nothing.
    if (error.errno_value() != EBUSY || !request.cgroup.empty()) throw;
    const Place place = find_cgroup_of_init(record);
    if (!place.cgroup) throw;
    return spawn_in(place, plan, tools);
  }
}

}  // namespace tare::stages
