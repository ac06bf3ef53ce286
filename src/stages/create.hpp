/// The parent's side of making a container, up to the moment when its init is ready to go.
#pragma once

#include <memory>
#include <optional>

#include "stages/bundle.hpp"
#include "stages/notify.hpp"
#include "stages/protocol.hpp"
#include "stages/timings.hpp"
#include "stages/undo.hpp"
#include "state/store.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "tare/record.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// How the container will be let go.
enum class Start {
  later,         ///< create: init waits at the start gate
  now_detached,  ///< run --detach
  now_attended,  ///< run: this process stays with it
};

/// A container whose init waits for Proceed. Unless it is committed, everything is undone when this
/// goes.
struct Made {
  state::ContainerDirectory directory;
  Bundle bundle{};
  Record record{};
  sys::Child init{};
  ParentEnd channel;
  Timings timings;
  std::optional<Notify> notify{};    ///< where a container that runs at once says READY=
  std::optional<sys::Fd> console{};  ///< the pty's master, where this process is to attend it
  Undo undo{};                       ///< last, so that it runs while the rest is there
};

/// Makes this process independent of what its caller passed on: an ignored SIGCHLD would have the
/// kernel reap our children unasked. Throws nothing.
void prepare_own_process();

/// Does it all, in the order of design: plan, claim, intent, cgroup, sources, clone, record.
std::unique_ptr<Made> make_container(const CreateRequest& request, Start start);

/// Lets init go on and, where it starts at once, waits until it has executed the payload.
/// Throws what execve failed with.
void proceed(Made& made, Start start);

}  // namespace tare::stages
