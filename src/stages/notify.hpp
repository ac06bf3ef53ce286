/// The runtime between a container that says sd_notify(3) and the service manager that started the
/// runtime: READY= is passed on, with the process that the manager is to watch from then on. After
/// runc, but for READY= that is not the first line of its message, which is passed on too.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "sys/fd.hpp"

namespace tare::state {
class ContainerDirectory;
}

namespace tare::stages {

/// Makes the directory that the container sees. Throws Error(system).
void make_notify_directory(const state::ContainerDirectory& directory);

/// Where the container's messages come in, and where they go.
struct Notify {
  sys::Fd socket{};
  std::string host{};  ///< the manager's socket: a path, or "@" and an abstract name
};

/// Binds the container's socket, for anybody in the container to write to. nullopt where `host` is
/// empty, or where the container was made without a place for it. Throws Error(system).
std::optional<Notify> open_notify(const state::ContainerDirectory& directory,
                                  const std::string& host);

/// Takes one message. Where it says READY=, the manager is told, and that `main_pid` is the process
/// to watch; then true. A manager that is gone is nobody's error: sd_notify(3) is best effort.
bool pass_on(const Notify& notify, pid_t main_pid);

/// The same until READY= has come and the manager has taken notice (sd_notify_barrier(3)), or until
/// the process behind the pidfd has ended. Throws Error(system).
void await_ready(const Notify& notify, sys::FdRef pidfd, pid_t main_pid);

}  // namespace tare::stages
