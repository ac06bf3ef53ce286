// The functions of tare/runtime.hpp that start something: create, run, exec.
#include <fcntl.h>

#include "stages/create.hpp"
#include "stages/exec.hpp"
#include "stages/foreground.hpp"
#include "stages/lifecycle.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"
#include "tare/runtime.hpp"

namespace tare {
namespace {

using stages::Start;

// What run keeps in mind while its container runs.
struct Running {
  sys::Child init{};
  std::optional<sys::Fd> console{};
  std::optional<stages::Notify> notify{};
  stages::Attended container;
};

Running start_now(const CreateRequest& request, Start start) {
  const std::unique_ptr<stages::Made> made = stages::make_container(request, start);
  if (made->console) stages::make_ready(*made->console);
  stages::proceed(*made, start);
  // A failing poststart hook fails the start: the container is undone with it (config.md, "Hooks").
  if (made->record.has_poststart) {
    made->timings.steps.begin("poststart hooks");
    stages::run_poststart(made->directory, made->record);
  }
  made->timings.write();
  made->undo.commit();
  return {std::move(made->init), std::move(made->console), std::move(made->notify),
          stages::attend_later(std::move(made->directory), made->record, made->bundle.plan)};
}

}  // namespace

void create(const CreateRequest& request) {
  const std::unique_ptr<stages::Made> made = stages::make_container(request, Start::later);
  stages::proceed(*made, Start::later);
  made->timings.write();
  made->undo.commit();
}

int run(const RunRequest& request) {
  if (request.detach) {
    const Running running = start_now(request.create, Start::now_detached);
    if (running.notify) {
      stages::await_ready(*running.notify, running.init.pidfd, running.init.pid);
    }
    return 0;
  }
  // Before init exists, so that neither a signal nor its end can be missed.
  const sys::BlockedSignals blocked;
  if (!request.no_subreaper) sys::become_subreaper();
  Running running = start_now(request.create, Start::now_attended);
  const sys::ExitStatus status =
      stages::attend(blocked, running.init, std::move(running.console), std::move(running.notify));
  if (!request.keep) stages::forget(running.container);
  return status.shell_code();
}

int exec(const ExecRequest& request) {
  if (request.detach) {
    stages::add_process(request);
    return 0;
  }
  const sys::BlockedSignals blocked;
  stages::Added added = stages::add_process(request);
  return stages::attend(blocked, added.process, std::move(added.console)).shell_code();
}

}  // namespace tare
