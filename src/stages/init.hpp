/// The container's first process, from its birth by clone3 to the start gate.
#pragma once

#include <vector>

#include "features/all.hpp"
#include "stages/payload.hpp"
#include "stages/protocol.hpp"
#include "sys/fd.hpp"
#include "tare/record.hpp"

namespace tare::stages {

/// What the parent has opened for init before it existed: init needs no path of the host but its
/// root's.
struct InitTools {
  PayloadTools payload;
  std::vector<namespaces::Target> join{};  ///< joined by init itself; empty where a joiner did
  sys::Fd rootfs{};                        ///< a detached clone of the rootfs
  sys::Fd mount_namespace{};  ///< for init to join; empty where it is born in one of its own
  mounts::Sources mount_sources{};
  std::vector<sys::Fd> device_sources{};
  sys::Fd null_device{};
  sys::Fd procfs{};          ///< the runtime's own, where time offsets are to be written
  sys::Fd console_socket{};  ///< connected; empty: the pty's master goes to the parent
  Record identity{};         ///< what hooks are told of the container
};

/// Clones what is to be mounted, as long as paths of the host can be reached. In the parent or,
/// where the Plan says so, in init. Throws Error(system).
void open_sources(const Plan& plan, InitTools& tools);

/// Carries out the Plan and becomes the payload. Gives an exit status only on failure.
int init_main(const Plan& plan, InitTools& tools) noexcept;

/// Sends a pty's master where the caller wants it: to its console socket, or to the parent.
void hand_over_console(const terminal::Pty& pty, const InitTools& tools);

}  // namespace tare::stages
