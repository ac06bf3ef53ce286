/// The request that the flags of exec make.
#pragma once

#include "cli/arguments.hpp"
#include "tare/runtime.hpp"

namespace tare::cli {

/// Throws Error(usage) for a command line that names no command, a group that is no number, and a
/// cgroup of a v1 controller.
ExecRequest exec_request(const Arguments& arguments, const GlobalOptions& global);

}  // namespace tare::cli
