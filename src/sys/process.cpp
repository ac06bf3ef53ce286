#include "sys/process.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "sys/describe.hpp"
#include "sys/file.hpp"

namespace tare::sys {
namespace {

constexpr long kPidfsMagic = 0x50494446;  // PID_FS_MAGIC, linux/magic.h of Linux 6.9
constexpr int kPidfdIdType = 3;           // P_PIDFD

constexpr FlagName kNamespaceNames[] = {
    {CLONE_NEWUSER, "CLONE_NEWUSER"},     {CLONE_NEWNS, "CLONE_NEWNS"},
    {CLONE_NEWPID, "CLONE_NEWPID"},       {CLONE_NEWUTS, "CLONE_NEWUTS"},
    {CLONE_NEWIPC, "CLONE_NEWIPC"},       {CLONE_NEWNET, "CLONE_NEWNET"},
    {CLONE_NEWCGROUP, "CLONE_NEWCGROUP"}, {CLONE_NEWTIME, "CLONE_NEWTIME"},
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

constexpr int kFlagsField = 9;  // of /proc/PID/stat, as proc(5) counts them
constexpr int kStartTimeField = 22;
constexpr std::uint64_t kForkNoExec = 0x40;  // PF_FORKNOEXEC, linux/sched.h

// A number of /proc/PID/stat; nullopt when there is no such process any more. The name in field 2
// may hold anything, so count from the last ')'.
std::optional<std::uint64_t> find_stat(pid_t pid, int wanted) {
  const std::optional<Fd> file = find_at(FdRef::cwd(), fmt::format("/proc/{}/stat", pid), O_RDONLY);
  if (!file) return std::nullopt;
  // A line of at most 52 numbers and a name of 16 bytes, which the kernel gives as a whole.
  std::array<char, 2048> room{};
  const ssize_t got = ::read(file->number(), room.data(), room.size());
  // It was reaped between the two calls.
  if (got < 0 && errno == ESRCH) return std::nullopt;
  if (got < 0) raise(errno, "read {}", describe(*file));
  const std::string_view text(room.data(), static_cast<std::size_t>(got));
  std::size_t at = text.rfind(')');
  for (int field = 2; field < wanted && at != std::string_view::npos; ++field)
    at = text.find(' ', at + 1);
  std::uint64_t value = 0;
  if (at != std::string_view::npos) {
    std::from_chars(text.data() + at + 1, text.data() + text.size(), value);
  }
  return value;
}

std::optional<std::uint64_t> find_start_time(pid_t pid) {
  return find_stat(pid, kStartTimeField);
}

template <typename Name>
ExitStatus wait_by(idtype_t type, int number, const Name& name) {
  siginfo_t info{};
  while (::waitid(type, static_cast<id_t>(number), &info, WEXITED) < 0) {
    if (errno != EINTR) raise(errno, "waitid {}", name());
  }
  if (info.si_code == CLD_EXITED) return {.code = info.si_status};
  return {.signal = info.si_status};
}

}  // namespace

Child clone_process(const CloneRequest& request) {
  int pidfd = -1;
  struct clone_args args {};
  args.flags = request.namespaces | CLONE_CLEAR_SIGHAND;
  if (request.with_pidfd) {
    args.flags |= CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  }
  if (request.cgroup) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<std::uint64_t>(request.cgroup->number());
  }
  if (request.sibling) args.flags |= CLONE_PARENT;
  // With CLONE_PARENT the exit signal is the parent's own; clone3 insists on 0 (clone(2)).
  args.exit_signal = request.sibling ? 0 : SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) {
    raise(errno, "clone3({}{})", describe_flags(request.namespaces, kNamespaceNames),
          request.cgroup ? ", into " + describe(*request.cgroup) : "");
  }
  if (pid == 0) return Child{0, Fd()};
  return Child{static_cast<pid_t>(pid), Fd(pidfd)};
}

void exit_now(int status) noexcept {
  ::_exit(status);
}

void run_child(int (*trampoline)(void*), void* body) noexcept {
  int status = 1;
  try {
    status = trampoline(body);
  } catch (...) {
    // The body reports its own errors; whatever else escapes must not unwind into the parent's
    // frames.
    status = 1;
  }
  exit_now(status);
}

ExitStatus wait_for(FdRef pidfd) {
  return wait_by(static_cast<idtype_t>(kPidfdIdType), pidfd.number(),
                 [&] { return describe(pidfd); });
}

ExitStatus wait_for_pid(pid_t pid) {
  return wait_by(P_PID, pid, [&] { return std::to_string(pid); });
}

std::optional<ExitStatus> reap_ended(pid_t pid) {
  std::optional<ExitStatus> found;
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended < 0 && errno == EINTR) continue;
    if (ended <= 0) return found;
    if (ended != pid) continue;
    if (WIFSIGNALED(status)) {
      found = ExitStatus{.signal = WTERMSIG(status)};
    } else {
      found = ExitStatus{.code = WEXITSTATUS(status)};
    }
  }
}

std::optional<Fd> open_pidfd(pid_t pid) {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) return Fd(static_cast<int>(fd));
  if (errno == ESRCH || errno == EINVAL) return std::nullopt;
  raise(errno, "pidfd_open {}", pid);
}

Fd copy_descriptor(FdRef pidfd, int number) {
  const long fd = ::syscall(SYS_pidfd_getfd, pidfd.number(), number, 0);
  if (fd < 0) raise(errno, "pidfd_getfd {} {}", describe(pidfd), number);
  return Fd(static_cast<int>(fd));
}

bool has_ended(FdRef pidfd) {
  return await_end(pidfd, 0);
}

bool has_executed(pid_t pid) {
  // execve clears the flag before it closes descriptors, and a dead process keeps its flags until
  // it is reaped: so whoever has seen a descriptor close reads what has closed it.
  return (find_stat(pid, kFlagsField).value_or(0) & kForkNoExec) == 0;
}

bool await_end(FdRef pidfd, int timeout_ms) {
  pollfd poll_for{.fd = pidfd.number(), .events = POLLIN, .revents = 0};
  for (;;) {
    const int ready = ::poll(&poll_for, 1, timeout_ms);
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) raise(errno, "poll {}", describe(pidfd));
  }
}

bool send_signal(FdRef pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.number(), signal, nullptr, 0) == 0) return true;
  if (errno == ESRCH) return false;
  raise(errno, "pidfd_send_signal({}, {})", describe(pidfd), signal);
}

ProcessIdentity identify(pid_t pid, FdRef pidfd) {
  // Before pidfs, all pidfds share one inode of anon_inodefs, which says nothing.
  if (filesystem_type(pidfd) == kPidfsMagic) return {.pidfs_inode = status(pidfd).st_ino};
  const std::optional<std::uint64_t> start_time = find_start_time(pid);
  if (!start_time) raise(ESRCH, "identify process {}", pid);
  return {.start_time = *start_time};
}

std::optional<Fd> open_identified(pid_t pid, const ProcessIdentity& identity) {
  std::optional<Fd> pidfd = open_pidfd(pid);
  if (!pidfd || has_ended(*pidfd)) return std::nullopt;
  if (identity.pidfs_inode != 0) {
    if (status(*pidfd).st_ino != identity.pidfs_inode) return std::nullopt;
    return pidfd;
  }
  // The pidfd was opened first: if the start time read now is the right one, the pidfd is too.
  if (find_start_time(pid) != identity.start_time || has_ended(*pidfd)) return std::nullopt;
  return pidfd;
}

void join_namespaces(FdRef target, int types) {
  if (::setns(target.number(), types) < 0) {
    raise(errno, "setns({}, {})", describe(target),
          describe_flags(static_cast<unsigned>(types), kNamespaceNames));
  }
}

void unshare(std::uint64_t namespaces) {
  if (::unshare(static_cast<int>(namespaces)) < 0) {
    raise(errno, "unshare({})", describe_flags(namespaces, kNamespaceNames));
  }
}

int execute(const std::string& path, const std::vector<std::string>& arguments,
            const std::vector<std::string>& environment) noexcept {
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);
  ::execve(path.c_str(), argv.data(), envp.data());
  return errno;
}

int execute_descriptor(FdRef program, const std::vector<std::string>& arguments,
                       const std::vector<std::string>& environment) noexcept {
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);
  ::syscall(SYS_execveat, program.number(), "", argv.data(), envp.data(), AT_EMPTY_PATH);
  return errno;
}

uid_t own_user() noexcept {
  return ::geteuid();
}

pid_t own_pid() noexcept {
  return ::getpid();
}

void change_root(FdRef directory) {
  change_directory(directory);
  if (::chroot(".") < 0) raise(errno, "chroot {}", describe(directory));
}

void new_session() {
  if (::setsid() < 0) raise(errno, "setsid");
}

void set_dumpable(bool dumpable) {
  if (::prctl(PR_SET_DUMPABLE, dumpable ? 1 : 0, 0, 0, 0) < 0)
    raise(errno, "prctl(PR_SET_DUMPABLE)");
}

void become_subreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
    raise(errno, "prctl(PR_SET_CHILD_SUBREAPER)");
  }
}

void signal_at_parent_death(int signal) {
  if (::prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) < 0) raise(errno, "prctl(PR_SET_PDEATHSIG)");
}

}  // namespace tare::sys
