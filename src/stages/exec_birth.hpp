/// How the process that exec adds comes to be: through a joiner, which enters the container, gives
/// up what the process shall not be born with, and makes it.
#pragma once

#include <cstdint>

#include "stages/payload.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "tare/record.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// What the process and its joiner need, opened before they exist.
struct ExecTools {
  PayloadTools payload;
  sys::Fd init{};  ///< pidfd of the container's init, whose namespaces are joined
  sys::Fd console_socket{};
  std::uint64_t namespaces = 0;
  bool user_namespace = false;
};

/// Makes the process, a child of ours in the container's namespaces and cgroup, which becomes the
/// payload. Throws Error(system).
sys::Child spawn_process(const ExecRequest& request, const Record& record, const ProcessPlan& plan,
                         ExecTools& tools);

}  // namespace tare::stages
