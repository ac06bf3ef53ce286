#include "stages/handover.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>

#include <charconv>

#include "stages/limits.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

struct FileName {
  std::string directory;
  std::string name;
};

FileName split(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return {path.substr(0, std::max<std::size_t>(slash, 1)), path.substr(slash + 1)};
}

void write_pid_file(const std::string& path, pid_t pid, Undo& undo) {
  const FileName file = split(path);
  const sys::Fd directory = sys::open_at(sys::FdRef::cwd(), file.directory, O_PATH | O_DIRECTORY);
  const std::string temporary = "." + file.name;
  // A runtime that was killed may have left its own there.
  sys::remove_file(directory, temporary);
  const sys::Fd out =
      sys::open_at(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
  Undo unfinished;
  unfinished.add([&] { sys::remove_file(directory, temporary); });
  sys::write_all(out, std::to_string(pid));
  sys::rename_file(directory, temporary, file.name);
  unfinished.commit();
  // Not before: until the rename, a file of that name is somebody else's.
  undo.add([path] { sys::remove_file(sys::FdRef::cwd(), path); });
}

// The words of runc.
Error out_of_memory(const std::string& cgroup_directory) {
  Error error(ErrorKind::system, "container init was OOM-killed (memory limit too low?)");
  const std::string limit = memory_limit_of(cgroup_directory);
  if (!limit.empty()) error.add_cause(limit);
  return error;
}

}  // namespace

void check_console(bool terminal, bool has_socket, bool detached) {
  if (terminal && detached && !has_socket) {
    throw Error(ErrorKind::usage,
                "cannot allocate tty if runc will detach without setting console socket");
  }
  if (has_socket && !(terminal && detached)) {
    throw Error(ErrorKind::usage,
                "cannot use console socket if runc will not detach or allocate tty");
  }
}

void hand_over_process(const sys::Child& process, const std::string& pid_file,
                       const std::string& pidfd_socket, Undo& undo) {
  if (!pidfd_socket.empty()) {
    in_context([] { return "pidfd socket"; },
               [&] {
                 const sys::Fd socket = sys::connect_unix(pidfd_socket);
                 sys::send_message(socket, "pidfd", process.pidfd);
               });
  }
  if (!pid_file.empty()) {
    in_context([] { return "pid file"; }, [&] { write_pid_file(pid_file, process.pid, undo); });
  }
}

void hand_over_listener(const sys::Child& process, const std::string& number,
                        const seccomp::Listener& listener, const std::string& state) {
  int descriptor = -1;
  const char* end = number.data() + number.size();
  const auto [rest, fault] = std::from_chars(number.data(), end, descriptor);
  if (fault != std::errc() || rest != end || descriptor < 0) {
    throw Error(ErrorKind::internal, "the container's process named no descriptor as its listener");
  }
  // It cannot send it: a profile may notify of sendmsg, which nobody could answer yet. So it is
  // fetched, which takes no system call of the process (runc's way).
  const sys::Fd own = sys::copy_descriptor(process.pidfd, descriptor);
  seccomp::send_listener(listener, own, state);
}

InitProcess identity_of(const sys::Child& process) {
  const sys::ProcessIdentity identity = sys::identify(process.pid, process.pidfd);
  return {
      .pid = process.pid, .pidfs_inode = identity.pidfs_inode, .start_time = identity.start_time};
}

void check_executed(const InitProcess& init, const std::string& cgroup_directory) {
  if (sys::has_executed(init.pid)) return;
  const std::optional<sys::Fd> pidfd = sys::open_pidfd(init.pid);
  if (!pidfd) return;
  const sys::ProcessIdentity found = sys::identify(init.pid, *pidfd);
  // Its parent may have reaped it meanwhile, and the pid may be that of another.
  if (found.pidfs_inode != init.pidfs_inode || found.start_time != init.start_time) return;
  if (was_out_of_memory(cgroup_directory)) throw out_of_memory(cgroup_directory);
}

Error death_of(std::string_view who, const sys::ExitStatus& status,
               const std::string& cgroup_directory) {
  if (status.signal == SIGKILL && was_out_of_memory(cgroup_directory)) {
    return out_of_memory(cgroup_directory);
  }
  if (status.signal == 0) {
    return Error(ErrorKind::system, fmt::format("{} exited with status {}", who, status.code));
  }
  Error error(ErrorKind::system, fmt::format("{} was killed by signal {}", who, status.signal));
  if (status.signal == SIGKILL && has_lost_its_counts(cgroup_directory)) {
    error.add_cause(
        "its cgroup is gone, and what it had counted: a memory limit that is too low does this");
  }
  return error;
}

Error death_of_init(const sys::Child& process, const std::string& cgroup_directory) {
  return death_of("the container's init", sys::wait_for(process.pidfd), cgroup_directory);
}

}  // namespace tare::stages
