/// What a caller is given of a new process, shared by create, run and exec: the pid file, the pidfd
/// socket, the terminal's rules; and what is said of a process that died too early.
#pragma once

#include <string>

#include "features/seccomp.hpp"
#include "stages/undo.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"
#include "tare/record.hpp"

namespace tare::stages {

/// Refuses combinations of terminal, console socket and detaching that leave a pty with no owner,
/// in the words of runc. Throws Error(usage).
void check_console(bool terminal, bool has_socket, bool detached);

/// Writes the pid file (decimal, no newline, by rename, so that a reader sees all or nothing) and
/// sends the pidfd; each is skipped where its path is empty. The pid file's removal is added to
/// `undo`.
void hand_over_process(const sys::Child& process, const std::string& pid_file,
                       const std::string& pidfd_socket, Undo& undo);

/// Takes a filter's listener from a process of ours, which has told its number, and sends it to the
/// agent with the container process state. Throws Error(system).
void hand_over_listener(const sys::Child& process, const std::string& number,
                        const seccomp::Listener& listener, const std::string& state);

/// What tells this process from a later one with its pid.
InitProcess identity_of(const sys::Child& process);

/// Called once init has left the start gate: throws Error(system) if it was killed for want of
/// memory before it had executed the payload. Silent where that cannot be told any more, as init's
/// parent has reaped it.
void check_executed(const InitProcess& init, const std::string& cgroup_directory);

/// Why a process that was to become the container's, `who`, ended before it was one: the memory
/// limit of its cgroup, a signal, or an exit.
Error death_of(std::string_view who, const sys::ExitStatus& status,
               const std::string& cgroup_directory);

/// Reaps a process that closed its channel without a word, and says why it died, as death_of.
Error death_of_init(const sys::Child& process, const std::string& cgroup_directory);

}  // namespace tare::stages
