/// The last steps of a process that becomes a payload, shared by a container's init and by exec:
/// limits, user, capabilities, the start gate, the seccomp filter, execve.
#pragma once

#include <sys/types.h>

#include <string>

#include "features/all.hpp"
#include "stages/protocol.hpp"
#include "stages/timings.hpp"
#include "state/start_gate.hpp"
#include "sys/fd.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// What the process brings along.
struct PayloadTools {
  InitEnd channel;
  start_gate::Gate gate{};     ///< empty: the payload goes at Proceed
  bool narrowed = false;       ///< capabilities were narrowed already, by a joiner
  bool entered = false;        ///< the working directory was entered already, by a joiner
  sys::Fd handler{};           ///< executed in place of the process's program, if there is one
  std::string handler_name{};  ///< what the handler is called as
  int preserve_fds = 0;        ///< descriptors 3 to 3 + n - 1 are the payload's
  std::vector<hooks::Hook> hooks{};  ///< startContainer
  std::string hook_state{};          ///< what they get on stdin
  hooks::OutputFiles hook_output{};  ///< where what they print goes
  Steps steps{};                     ///< the process's own, sent with Ready
  std::string filter{};              ///< the compiled seccomp filter; empty: the parent is asked
  sys::Fd procfs{};                  ///< the host's, where labels are still to be asked for
};

/// Tells `warn`, unless it is empty, of what the process asks for and does not get.
void tell(const ProcessPlan& plan, const Warn& warn);

/// The capabilities that become_payload uses itself, beyond those that a change of user takes.
capabilities::Set needed_by_payload(const ProcessPlan& plan);

/// The parent's part of it, once the process is ready: what takes rights that the process has given
/// up. As late as can be, so that set-up itself neither waits behind others nor holds them up.
/// Throws Error(system).
void prioritise_in_parent(const ProcessPlan& plan, pid_t pid);

/// The host's procfs, through which the process asks for its labels; empty where it needs none. By
/// the parent, or the joiner: nothing of a container is between us and it. Throws Error(system).
sys::Fd open_procfs(const ProcessPlan& plan);

/// Asks for the labels of the next execve, and has none to ask for where `procfs` is empty.
/// Children inherit the wish, until they execute something. Throws Error(system).
void apply_labels(const ProcessPlan& plan, const sys::Fd& procfs);

/// Becomes the payload. Returns only by an Error: before Proceed it is for the parent; after the
/// gate there is no parent any more (tools.channel is closed).
[[noreturn]] void become_payload(const ProcessPlan& plan, PayloadTools& tools);

/// What a process that failed leaves with: its error goes to the parent or, when that has gone, to
/// whoever opened the gate. Gives the exit status: 127 where a file was not found, 126 where it
/// could not be executed, as a shell has it.
int report_failure(const PayloadTools& tools, const Error& error) noexcept;

}  // namespace tare::stages
