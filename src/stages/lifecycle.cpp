#include "stages/lifecycle.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>

#include "features/cgroup.hpp"
#include "features/cgroup_systemd.hpp"
#include "features/intel_rdt.hpp"
#include "stages/handover.hpp"
#include "stages/notify.hpp"
#include "state/record.hpp"
#include "state/start_gate.hpp"
#include "sys/clock.hpp"
#include "sys/process.hpp"

namespace tare {
namespace stages {
namespace {

// A process in uninterruptible sleep can take its time to die; after this the caller is told and
// may try again. runc gives up after 10 s too.
constexpr int kDeathTimeoutMs = 10'000;
// The kernel freezes at once but for tasks in the middle of a system call.
constexpr int kFreezeTimeoutMs = 10'000;

Error wrong_state(std::string text) {
  return Error(ErrorKind::state, std::move(text));
}

// Nothing but files outlives a boot. A pid of another boot is somebody else's, and as pids and
// inodes of pidfds are given in nearly the same order each time, an identity does not tell; so is a
// cgroup.
bool is_of(const std::optional<std::string>& boot, const Record& record) {
  return !boot || record.boot_id == *boot;
}

bool is_of_this_boot(const state::ContainerDirectory& directory, const Record& record) {
  return is_of(state::boot_of(directory.fd()), record);
}

std::optional<sys::Fd> find_init_of_this_boot(const Record& record) {
  return sys::open_identified(record.init.pid, {.pidfs_inode = record.init.pidfs_inode,
                                                .start_time = record.init.start_time});
}

Status observe_in_this_boot(const state::ContainerDirectory& directory, const Record& record) {
  if (!find_init_of_this_boot(record)) return Status::stopped;
  if (is_paused(record)) return Status::paused;
  return start_gate::is_closed(directory.fd()) ? Status::created : Status::running;
}

State look(const state::ContainerDirectory& directory, const std::optional<std::string>& boot) {
  Record record = read_record(directory);
  const Status status =
      is_of(boot, record) ? observe_in_this_boot(directory, record) : Status::stopped;
  return {.record = std::move(record), .status = status};
}

void kill_and_await(const std::optional<Record>& record, const std::string& cgroup_directory) {
  const std::optional<sys::Fd> init = record ? find_init_of_this_boot(*record) : std::nullopt;
  if (!cgroup_directory.empty()) {
    cgroup::kill_all(cgroup_directory);
    if (!cgroup::await_empty(cgroup_directory, kDeathTimeoutMs)) {
      throw wrong_state("container init still running");
    }
    return;
  }
  if (!init) return;
  sys::send_signal(*init, SIGKILL);
  if (!sys::await_end(*init, kDeathTimeoutMs)) throw wrong_state("container init still running");
}

void remove_groups(const Record& record) {
  if (!record.scope.name.empty()) {
    cgroup_systemd::stop({.name = record.scope.name, .user = record.scope.user});
  }
  if (!record.cgroup_directory.empty()) cgroup::remove(record.cgroup_directory);
  intel_rdt::remove(record.resctrl);
}

void run_poststop(const hooks::Plan& hooks, const Record& record) {
  if (hooks.poststop.empty()) return;
  const std::string state = state::hook_state(record, Status::stopped);
  for (const hooks::Hook& hook : hooks.poststop) {
    try {
      hooks::run(hooks::Stage::poststop, {hook}, state, kHookDirectory,
                 hooks::open_output(hooks::read_output(record.annotations, record.bundle)));
    } catch (const Error&) {
      // runtime.md, "Lifecycle": a failing poststop hook is passed over, and the others still run.
      continue;
    }
  }
}

hooks::Plan hooks_of(const Intent& intent) {
  if (intent.hooks.empty()) return {};
  const spec::Document document("hooks", "{\"hooks\":" + intent.hooks + "}");
  return hooks::read(document.top());
}

// A create that is killed as it writes its intent leaves half of one, and has made nothing yet.
std::optional<Intent> find_readable_intent(const state::ContainerDirectory& directory) {
  try {
    return directory.find_intent();
  } catch (const Error&) {
    return std::nullopt;
  }
}

// The part of a record that delete needs, for a create that never wrote one.
Record record_from(const Intent& intent) {
  return {.id = intent.id,
          .bundle = intent.bundle,
          .rootfs = intent.rootfs,
          .boot_id = intent.boot_id,
          .cgroup_directory = intent.cgroup_directory,
          .scope = intent.scope,
          .resctrl = intent.resctrl};
}

}  // namespace

Record read_record(const state::ContainerDirectory& directory) {
  std::optional<Record> record = directory.find_record();
  if (!record) throw wrong_state("container does not exist");
  return std::move(*record);
}

std::optional<sys::Fd> find_init(const state::ContainerDirectory& directory, const Record& record) {
  if (!is_of_this_boot(directory, record)) return std::nullopt;
  return find_init_of_this_boot(record);
}

bool is_paused(const Record& record) {
  return !record.cgroup_directory.empty() && cgroup::is_frozen(record.cgroup_directory);
}

Status observe(const state::ContainerDirectory& directory, const Record& record) {
  return is_of_this_boot(directory, record) ? observe_in_this_boot(directory, record)
                                            : Status::stopped;
}

void require_cgroup(const Record& record, std::string_view command) {
  if (!record.cgroup_directory.empty()) return;
  throw Error(ErrorKind::unsupported,
              fmt::format("{} needs a cgroup, and the container was made without one", command));
}

void run_poststart(const state::ContainerDirectory& directory, const Record& record) {
  const std::optional<Intent> intent = directory.find_intent();
  if (!intent) return;
  hooks::run(hooks::Stage::poststart, hooks_of(*intent).poststart,
             state::hook_state(record, Status::running), kHookDirectory,
             hooks::open_output(hooks::read_output(record.annotations, record.bundle)));
}

void destroy(const state::ContainerDirectory& directory, const std::optional<Record>& record,
             bool force) {
  const std::optional<Intent> intent =
      force ? find_readable_intent(directory) : directory.find_intent();
  const Record known = record ? *record : intent ? record_from(*intent) : Record{};
  if (is_of_this_boot(directory, known)) {
    kill_and_await(record, known.cgroup_directory);
    remove_groups(known);
  }
  if (intent) run_poststop(hooks_of(*intent), known);
  directory.remove();
}

Attended attend_later(state::ContainerDirectory directory, Record record, const Plan& plan) {
  directory.unlock();
  return {std::move(directory), std::move(record), plan.hooks};
}

void forget(Attended& ours) {
  if (!ours.directory.lock_again()) return;
  kill_and_await(ours.record, ours.record.cgroup_directory);
  remove_groups(ours.record);
  run_poststop(ours.hooks, ours.record);
  ours.directory.remove();
}

}  // namespace stages

using stages::observe;
using stages::wrong_state;

void start(const GlobalOptions& global, const std::string& id, const std::string& notify_socket) {
  const state::Store store(global);
  state::ContainerDirectory directory = store.open(id, state::Lock::exclusive);
  const Record record = stages::read_record(directory);
  switch (observe(directory, record)) {
    case Status::created:
      break;
    case Status::running:
      throw wrong_state("cannot start an already running container");
    case Status::stopped:
      throw wrong_state("cannot start a container that has stopped");
    case Status::creating:
    case Status::paused:
      throw wrong_state("cannot start a container in the paused state");
  }
  const std::optional<stages::Notify> notify = stages::open_notify(directory, notify_socket);
  if (!start_gate::open_and_await(directory.fd())) {
    throw wrong_state("cannot start a container that has stopped");
  }
  stages::check_executed(record.init, record.cgroup_directory);
  if (record.has_poststart) {
    try {
      stages::run_poststart(directory, record);
    } catch (const Error&) {
      // config.md, "Hooks": the container is stopped with it.
      stages::kill_and_await(record, record.cgroup_directory);
      throw;
    }
  }
  if (!notify) return;
  // For as long as the container takes to be ready; until then it is to be killed and deleted.
  directory.unlock();
  const std::optional<sys::Fd> init = stages::find_init(directory, record);
  if (init) stages::await_ready(*notify, *init, record.init.pid);
}

void kill(const GlobalOptions& global, const std::string& id, int signal, bool all) {
  const state::Store store(global);
  const state::ContainerDirectory directory = store.open(id, state::Lock::none);
  const Record record = stages::read_record(directory);
  const std::optional<sys::Fd> init = stages::find_init(directory, record);
  const bool sent = init && sys::send_signal(*init, signal);
  // Without a pid namespace of its own the end of init ends nothing else.
  if (signal == SIGKILL && !record.private_pids && !record.cgroup_directory.empty() &&
      stages::is_of_this_boot(directory, record)) {
    cgroup::kill_all(record.cgroup_directory);
    return;
  }
  if (!sent && !all) throw wrong_state("container not running");
}

void remove(const GlobalOptions& global, const std::string& id, bool force) {
  const state::Store store(global);
  const std::optional<state::ContainerDirectory> directory = store.find(id, state::Lock::exclusive);
  if (!directory) {
    if (force) return;
    throw wrong_state("container does not exist");
  }
  std::optional<Record> record;
  try {
    record = directory->find_record();
  } catch (const Error&) {
    // A damaged record is what --force is for: the intent says what there is to clear.
    if (!force) throw;
  }
  if (record && !force) {
    const Status status = observe(*directory, *record);
    if (status != Status::stopped && status != Status::created) {
      throw wrong_state(
          fmt::format("cannot delete container {} that is not stopped: {}", id, to_string(status)));
    }
  }
  stages::destroy(*directory, record, force);
  if (!record && !force) throw wrong_state("container does not exist");
}

State query(const GlobalOptions& global, const std::string& id) {
  const state::Store store(global);
  const state::ContainerDirectory directory = store.open(id, state::Lock::none);
  return stages::look(directory, state::boot_of(directory.fd()));
}

Listing list(const GlobalOptions& global) {
  Listing out;
  const state::Store store(global);
  const std::optional<sys::Fd> root = store.root_to_list();
  if (!root) return out;
  const std::optional<std::string> boot = state::boot_of(*root);
  for (const std::string& id : state::Store::ids(*root)) {
    try {
      out.states.push_back(stages::look(store.open_in(*root, id), boot));
    } catch (const Error& error) {
      // One that is being made or removed just now has no record, and is no one's mistake.
      if (error.kind() == ErrorKind::state && error.message() == "container does not exist")
        continue;
      out.unreadable.emplace_back(id, error);
    }
  }
  return out;
}

void pause(const GlobalOptions& global, const std::string& id) {
  const state::Store store(global);
  const state::ContainerDirectory directory = store.open(id, state::Lock::exclusive);
  const Record record = stages::read_record(directory);
  const Status status = observe(directory, record);
  if (status != Status::running && status != Status::created) {
    throw wrong_state("container not running");
  }
  stages::require_cgroup(record, "pause");
  cgroup::set_frozen(record.cgroup_directory, true, stages::kFreezeTimeoutMs);
}

void resume(const GlobalOptions& global, const std::string& id) {
  const state::Store store(global);
  const state::ContainerDirectory directory = store.open(id, state::Lock::exclusive);
  const Record record = stages::read_record(directory);
  if (observe(directory, record) != Status::paused) throw wrong_state("container not paused");
  cgroup::set_frozen(record.cgroup_directory, false, stages::kFreezeTimeoutMs);
}

std::vector<int> processes(const GlobalOptions& global, const std::string& id) {
  const state::Store store(global);
  const state::ContainerDirectory directory = store.open(id, state::Lock::none);
  const Record record = stages::read_record(directory);
  stages::require_cgroup(record, "ps");
  // Where init was not alone in its pid namespace, others can outlive it; of an ended container
  // there are none, which is no mistake of whoever asks.
  if (!stages::is_of_this_boot(directory, record)) return {};
  return cgroup::processes(record.cgroup_directory);
}

}  // namespace tare
