/// A further process in a container that runs: the parent's side of exec, and the process itself.
#pragma once

#include <optional>

#include "features/all.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "tare/record.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// A process that was added and has executed its payload.
struct Added {
  sys::Child process{};
  std::optional<sys::Fd> console{};  ///< the pty's master, where this process is to attend it
};

/// What the process will be: the container's own `process` object, or --process's, with the flags
/// over it.
ProcessPlan plan_exec(const ExecRequest& request, const Intent& intent, const Record& record);

/// Adds the process. When it has executed, the pid file is written. Throws Error.
Added add_process(const ExecRequest& request);

}  // namespace tare::stages
