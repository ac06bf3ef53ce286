#include "sys/process.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "../scratch.hpp"
#include "host/host.hpp"
#include "sandbox.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"
#include "sys/path.hpp"
#include "sys/stream.hpp"
#include "sys/uts.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

constexpr std::uint64_t kAll =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;

std::string host_name() {
  utsname names{};
  ::uname(&names);
  return names.nodename;
}

// The inode of a namespace of this process, which is its name.
ino_t namespace_inode(const char* name) {
  const Fd file = open_at(FdRef::cwd(), std::string("/proc/self/ns/") + name, O_RDONLY);
  return status(file).st_ino;
}

TEST_CASE("a child is the first process of every namespace that it is born with", "[process]") {
  if (test::skip_unless_root()) return;
  const ino_t host[] = {namespace_inode("mnt"), namespace_inode("uts"), namespace_inode("net")};
  const Child child = spawn({.namespaces = kAll}, [&] {
    if (own_pid() != 1) return 1;
    // /proc is the host's still, and has no self for us.
    const Root proc(NewFilesystem("proc").mount(0));
    const auto inode = [&](const char* name) {
      const Fd directory = proc.open("1/ns", O_RDONLY | O_DIRECTORY);
      const Fd file = open_at(directory, name, O_RDONLY);
      return status(file).st_ino;
    };
    return inode("mnt") != host[0] && inode("uts") != host[1] && inode("net") != host[2] ? 0 : 2;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("exceptions are thrown and caught in every namespace and after chroot", "[process]") {
  if (test::skip_unless_root()) return;
  const test::Scratch scratch;
  const Child child = spawn({.namespaces = kAll}, [&] {
    change_root(scratch.fd());
    for (int round = 0; round < 100; ++round) {
      try {
        in_context([] { return "round"; }, [] { read_file(FdRef::cwd(), "/etc/passwd"); });
        return 1;
      } catch (const Error& error) {
        if (error.message() != "round: open /etc/passwd: no such file or directory") return 2;
      }
    }
    return 0;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("pid 1 does not die of its own signals and fails by its exit status", "[process]") {
  if (test::skip_unless_root()) return;
  const Child child = spawn({.namespaces = CLONE_NEWPID}, [] {
    ::raise(SIGTERM);
    ::raise(SIGPIPE);
    return 33;
  });
  CHECK(wait_for(child.pidfd).code == 33);
}

TEST_CASE("pid 1 that is killed from outside takes its namespace with it", "[process]") {
  if (test::skip_unless_root()) return;
  Pipe pipe = make_pipe();
  const Child child = spawn({.namespaces = CLONE_NEWPID}, [&] {
    spawn({}, [&] {
      write_all(pipe.write_end, "!");
      return ::pause();
    });
    return ::pause();
  });
  pipe.write_end.reset();
  char byte = 0;
  REQUIRE(::read(pipe.read_end.number(), &byte, 1) == 1);
  CHECK(send_signal(child.pidfd, SIGKILL));
  CHECK(wait_for(child.pidfd).signal == SIGKILL);
  // The other process of the namespace held the pipe open.
  CHECK(::read(pipe.read_end.number(), &byte, 1) == 0);
}

Child spawn_waiting() {
  return spawn({}, [] { return ::pause(); });
}

void end(const Child& child) {
  send_signal(child.pidfd, SIGKILL);
  wait_for(child.pidfd);
}

// What a kernel without pidfs has to go by: field 22 of /proc/PID/stat.
ProcessIdentity start_time_of(const Child& child) {
  const std::string text = read_file(FdRef::cwd(), "/proc/" + std::to_string(child.pid) + "/stat");
  std::size_t at = text.rfind(") ") + 2;
  for (int field = 3; field < 22; ++field) at = text.find(' ', at) + 1;
  return {.start_time = std::stoull(text.substr(at))};
}

// In a pid namespace of its own: a process, and then another with the same pid.
std::string reuse_pid(const std::function<ProcessIdentity(const Child&)>& identity_of) {
  test::mount("none", "/", nullptr, MS_REC | MS_PRIVATE);
  test::mount("proc", "/proc", "proc", 0);
  const Child first = spawn_waiting();
  const ProcessIdentity identity = identity_of(first);
  if (!open_identified(first.pid, identity)) return "the process itself is not found";
  end(first);
  if (open_identified(first.pid, identity)) return "a process that is gone is found";
  for (;;) {
    write_value(FdRef::cwd(), "/proc/sys/kernel/ns_last_pid", std::to_string(first.pid - 1));
    const Child second = spawn_waiting();
    if (second.pid != first.pid) return "the pid was not given again";
    const bool is_same = identity_of(second) == identity;
    const bool is_found = open_identified(second.pid, identity).has_value();
    end(second);
    if (!is_same) return is_found ? "another process is found" : "told apart";
    // Both within one tick of 10 ms: only the inode of a pidfd tells these apart.
    if (identity.pidfs_inode != 0) return "two processes have one identity";
  }
}

TEST_CASE("a process that was given the pid of another is not taken for it", "[process]") {
  if (test::skip_unless_root()) return;
  const auto by_pidfd = [](const Child& child) { return identify(child.pid, child.pidfd); };
  CHECK(test::in_child(CLONE_NEWPID | CLONE_NEWNS, [&] { return reuse_pid(by_pidfd); }) ==
        "told apart");
  CHECK(test::in_child(CLONE_NEWPID | CLONE_NEWNS, [] { return reuse_pid(start_time_of); }) ==
        "told apart");
}

TEST_CASE("namespaces are joined by a pidfd, several at once", "[process]") {
  if (test::skip_unless_root()) return;
  const Pipe pipe = make_pipe();
  const Child holder = spawn({.namespaces = CLONE_NEWUTS | CLONE_NEWIPC}, [&] {
    set_host_name("joined");
    write_all(pipe.write_end, "!");
    return ::pause();
  });
  char byte = 0;
  REQUIRE(::read(pipe.read_end.number(), &byte, 1) == 1);
  const std::string before = host_name();
  const Child joiner = spawn({}, [&] {
    join_namespaces(holder.pidfd, CLONE_NEWUTS | CLONE_NEWIPC);
    return host_name() == "joined" ? 0 : 1;
  });
  CHECK(wait_for(joiner.pidfd).code == 0);
  CHECK(host_name() == before);
  send_signal(holder.pidfd, SIGKILL);
  wait_for(holder.pidfd);
  CHECK_THROWS_WITH(join_namespaces(holder.pidfd, CLONE_NEWUTS),
                    Catch::EndsWith(", CLONE_NEWUTS): no such process"));
}

TEST_CASE("a namespace of another type than the one that was named is not joined", "[process]") {
  const Fd file = open_at(FdRef::cwd(), "/proc/self/ns/uts", O_RDONLY);
  CHECK_THROWS_WITH(join_namespaces(file, CLONE_NEWNET),
                    Catch::EndsWith(", CLONE_NEWNET): invalid argument"));
}

TEST_CASE("what is unshared is this process's own", "[process]") {
  if (test::skip_unless_root()) return;
  const std::string before = host_name();
  const Child child = spawn({}, [] {
    unshare(CLONE_NEWUTS);
    set_host_name("own");
    return host_name() == "own" ? 0 : 1;
  });
  CHECK(wait_for(child.pidfd).code == 0);
  CHECK(host_name() == before);
}

TEST_CASE("a child is born in the cgroup that it was given", "[process]") {
  if (test::skip_unless_root()) return;
  const std::string mount_point = probe_host({}).cgroup.mount_point;
  if (mount_point.empty()) return test::skip("no cgroup2 tree is mounted");
  const std::string name = "tare-test-" + std::to_string(::getpid());
  const Fd tree = open_at(FdRef::cwd(), mount_point, O_PATH | O_DIRECTORY);
  REQUIRE(make_directory(tree, name, 0755));
  {
    const Fd cgroup = open_at(tree, name, O_RDONLY | O_DIRECTORY);
    const Child child = spawn({.cgroup = cgroup.ref()}, [&] {
      const std::string text = read_file(FdRef::cwd(), "/proc/self/cgroup");
      return text.find("0::/" + name + "\n") != std::string::npos ? 0 : 1;
    });
    CHECK(wait_for(child.pidfd).code == 0);
  }
  CHECK(remove_directory(tree, name));
}

TEST_CASE("a directory that was entered by chroot is the top of everything", "[process]") {
  if (test::skip_unless_root()) return;
  const test::Scratch scratch;
  scratch.write("file", "inside");
  const Child child = spawn({}, [&] {
    change_root(scratch.fd());
    return read_file(FdRef::cwd(), "/../../file") == "inside" && current_directory() == "/" ? 0 : 1;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("a file cannot be made the root", "[process]") {
  const test::Scratch scratch;
  scratch.write("file", "");
  const Fd file = open_at(scratch.fd(), "file", O_PATH);
  CHECK_THROWS_WITH(change_root(file),
                    Catch::StartsWith("fchdir ") && Catch::EndsWith("/file>: not a directory"));
}

}  // namespace
}  // namespace tare::sys
