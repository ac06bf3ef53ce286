#include "sys/process.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <charconv>
#include <stdexcept>

#include "../../scratch.hpp"
#include "sys/file.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

// Waits for one byte; the writer keeps its end open.
bool receive_byte(FdRef pipe) {
  char byte = 0;
  return ::read(pipe.number(), &byte, 1) == 1;
}

// A child that lives until it is killed or the other end of the pipe is closed.
class Waiting {
 public:
  explicit Waiting(const std::string& name = {}) : pipe_(make_pipe()) {
    Pipe ready = make_pipe();
    child_ = spawn({}, [&] {
      // Another child's pipe, held open here, would keep that one from ending.
      close_from(3, {pipe_.read_end.number(), ready.write_end.number()});
      if (!name.empty()) ::prctl(PR_SET_NAME, name.c_str());
      write_all(ready.write_end, "!");
      return receive_byte(pipe_.read_end) ? 1 : 0;
    });
    pipe_.read_end.reset();
    ready.write_end.reset();
    CHECK(receive_byte(ready.read_end));
  }

  void let_go() { pipe_.write_end.reset(); }
  const Child& child() const { return child_; }

 private:
  Pipe pipe_;
  Child child_{};
};

// Field 22 of /proc/PID/stat where the name has no blank.
std::uint64_t start_time_by_hand(pid_t pid) {
  const std::string text = read_file(FdRef::cwd(), "/proc/" + std::to_string(pid) + "/stat");
  std::size_t at = text.rfind(") ") + 2;
  for (int field = 3; field < 22; ++field) at = text.find(' ', at) + 1;
  std::uint64_t ticks = 0;
  std::from_chars(text.data() + at, text.data() + text.size(), ticks);
  return ticks;
}

TEST_CASE("a child ends with what its body gives", "[process]") {
  const int code = GENERATE(0, 1, 77, 255);
  const Child child = spawn({}, [&] { return code; });
  const ExitStatus status = wait_for(child.pidfd);
  CHECK(status.code == code);
  CHECK(status.signal == 0);
  CHECK(status.shell_code() == code);
}

TEST_CASE("a child that is killed tells by which signal", "[process]") {
  const Child child = spawn({}, [] { return ::raise(SIGTERM); });
  const ExitStatus status = wait_for(child.pidfd);
  CHECK(status.signal == SIGTERM);
  CHECK(status.shell_code() == 143);
}

TEST_CASE("an exception is thrown and caught within a child", "[process]") {
  const Child child = spawn({}, [] {
    try {
      in_context([] { return "in the child"; },
                 [] { open_at(FdRef::cwd(), "/no/such", O_RDONLY); });
    } catch (const Error& error) {
      return error.message() == "in the child: open /no/such: no such file or directory" ? 42 : 1;
    }
    return 2;
  });
  CHECK(wait_for(child.pidfd).code == 42);
}

TEST_CASE("nothing that a child throws reaches the frames of its parent", "[process]") {
  const int what = GENERATE(0, 1, 2);
  bool caught = false;
  Child child;
  try {
    child = spawn({}, [&]() -> int {
      if (what == 0) throw Error(ErrorKind::system, "escapes");
      if (what == 1) throw std::runtime_error("escapes");
      throw 5;
    });
  } catch (...) {
    caught = true;
  }
  CHECK_FALSE(caught);
  CHECK(wait_for(child.pidfd).code == 1);
}

TEST_CASE("no destructor and no atexit of the parent runs in the child", "[process]") {
  const test::Scratch scratch;
  struct Guard {
    const test::Scratch& scratch;
    ~Guard() { scratch.write("by-" + std::to_string(::getpid()), ""); }
  };
  Child child;
  {
    const Guard guard{scratch};
    child = spawn({}, []() -> int { throw Error(ErrorKind::system, "escapes"); });
    wait_for(child.pidfd);
    const Child other = spawn({}, [] { return 0; });
    wait_for(other.pidfd);
    CHECK(list_directory(scratch.fd()).empty());
  }
  CHECK(list_directory(scratch.fd()) ==
        std::vector<std::string>{"by-" + std::to_string(::getpid())});
}

TEST_CASE("a child is a copy: what it changes is not changed here", "[process]") {
  int value = 1;
  const Child child = spawn({}, [&] { return value += 41; });
  CHECK(wait_for(child.pidfd).code == 42);
  CHECK(value == 1);
}

TEST_CASE("a child allocates, formats and makes children of its own", "[process]") {
  const Child child = spawn({}, [] {
    std::vector<std::string> texts(1000, std::string(1000, 'x'));
    const Child grandchild = spawn({}, [&] { return static_cast<int>(texts.back().size() % 256); });
    return wait_for(grandchild.pidfd).code;
  });
  CHECK(wait_for(child.pidfd).code == 1000 % 256);
}

TEST_CASE("a child starts with no handler of ours", "[process]") {
  struct sigaction handler {};
  handler.sa_handler = [](int) {};
  struct sigaction before {};
  ::sigaction(SIGUSR1, &handler, &before);
  const Child child = spawn({}, [] {
    struct sigaction now {};
    ::sigaction(SIGUSR1, nullptr, &now);
    return now.sa_handler == SIG_DFL ? 0 : 1;
  });
  ::sigaction(SIGUSR1, &before, nullptr);
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("a pidfd is closed on exec", "[process]") {
  const Child child = spawn({}, [] { return 0; });
  CHECK((::fcntl(child.pidfd.number(), F_GETFD) & FD_CLOEXEC) != 0);
  wait_for(child.pidfd);
}

TEST_CASE("a sibling is the child of the caller's parent", "[process]") {
  Pipe pipe = make_pipe();
  const Child child = spawn({}, [&] {
    const Child sibling = clone_process({.sibling = true});
    if (sibling.pid == 0) exit_now(23);
    write_all(pipe.write_end, std::to_string(sibling.pid));
    return 0;
  });
  pipe.write_end.reset();
  wait_for(child.pidfd);
  const pid_t sibling = std::stoi(read_all(pipe.read_end));
  int status = 0;
  REQUIRE(::waitpid(sibling, &status, 0) == sibling);
  CHECK(WEXITSTATUS(status) == 23);
}

TEST_CASE("a clone that the kernel refuses names what was asked for", "[process]") {
  const Fd no_cgroup = open_at(FdRef::cwd(), "/", O_PATH);
  CHECK_THROWS_WITH(clone_process({.namespaces = CLONE_NEWNS | CLONE_FS}),
                    "clone3(CLONE_NEWNS|0x200): invalid argument");
  CHECK_THROWS_WITH(clone_process({.cgroup = no_cgroup.ref()}),
                    Catch::StartsWith("clone3(0x0, into [") && Catch::Contains("]</>): "));
}

TEST_CASE("the end of a process is seen, awaited and not taken away", "[process]") {
  Waiting waiting;
  CHECK_FALSE(has_ended(waiting.child().pidfd));
  CHECK_FALSE(await_end(waiting.child().pidfd, 1));
  waiting.let_go();
  CHECK(await_end(waiting.child().pidfd, -1));
  CHECK(has_ended(waiting.child().pidfd));
  CHECK(wait_for(waiting.child().pidfd).code == 0);
  CHECK(has_ended(waiting.child().pidfd));
}

TEST_CASE("a process can be reaped once", "[process]") {
  const Child child = spawn({}, [] { return 0; });
  wait_for(child.pidfd);
  CHECK_THROWS_WITH(wait_for(child.pidfd),
                    Catch::StartsWith("waitid [") && Catch::EndsWith(": no child processes"));
}

TEST_CASE("a signal reaches a living process, and one that has ended is no error", "[process]") {
  const Waiting waiting;
  CHECK(send_signal(waiting.child().pidfd, 0));
  CHECK(send_signal(waiting.child().pidfd, SIGKILL));
  CHECK(wait_for(waiting.child().pidfd).signal == SIGKILL);
  CHECK_FALSE(send_signal(waiting.child().pidfd, SIGKILL));
  CHECK_FALSE(send_signal(waiting.child().pidfd, 0));
}

TEST_CASE("what is no signal is an error although the process lives", "[process]") {
  const Waiting waiting;
  CHECK_THROWS_WITH(send_signal(waiting.child().pidfd, 65),
                    Catch::EndsWith(", 65): invalid argument"));
  send_signal(waiting.child().pidfd, SIGKILL);
  wait_for(waiting.child().pidfd);
}

TEST_CASE("a pidfd is opened of what lives and of nothing else", "[process]") {
  CHECK(open_pidfd(::getpid()));
  CHECK_FALSE(open_pidfd(0));
  CHECK_FALSE(open_pidfd(-1));
  CHECK_FALSE(open_pidfd(0x7fffffff));
  const Child child = spawn({}, [] { return 0; });
  wait_for(child.pidfd);
  CHECK_FALSE(open_pidfd(child.pid));
}

TEST_CASE("all ended children are reaped and the one that was asked for is told", "[process]") {
  const Child first = spawn({}, [] { return 1; });
  const Child wanted = spawn({}, [] { return ::raise(SIGKILL); });
  const Child last = spawn({}, [] { return 3; });
  for (const Child* child : {&first, &wanted, &last}) await_end(child->pidfd, -1);
  const std::optional<ExitStatus> status = reap_ended(wanted.pid);
  REQUIRE(status);
  CHECK(status->signal == SIGKILL);
  CHECK_FALSE(reap_ended(wanted.pid));
  CHECK_FALSE(open_pidfd(first.pid));
  CHECK_FALSE(open_pidfd(last.pid));
}

TEST_CASE("a living child is not waited for when the ended are reaped", "[process]") {
  Waiting waiting;
  CHECK_FALSE(reap_ended(waiting.child().pid));
  waiting.let_go();
  await_end(waiting.child().pidfd, -1);
  CHECK(reap_ended(waiting.child().pid)->code == 0);
}

TEST_CASE("an identity finds its process again and no other", "[process]") {
  Waiting one;
  Waiting other;
  const ProcessIdentity identity = identify(one.child().pid, one.child().pidfd);
  const std::optional<Fd> again = open_pidfd(one.child().pid);
  REQUIRE(again);
  CHECK(identity == identify(one.child().pid, *again));
  CHECK(open_identified(one.child().pid, identity));
  // Another process under that pid, or the pid of another process: what reuse looks like.
  CHECK_FALSE(open_identified(other.child().pid, identity));
  CHECK_FALSE(open_identified(0, identity));
  one.let_go();
  await_end(one.child().pidfd, -1);
  CHECK_FALSE(open_identified(one.child().pid, identity));
  wait_for(one.child().pidfd);
  CHECK_FALSE(open_identified(one.child().pid, identity));
  other.let_go();
  wait_for(other.child().pidfd);
}

TEST_CASE("the start time tells processes apart whatever their name looks like", "[process]") {
  const std::string name = GENERATE("plain", "a b", ") 1 2 3", "((", "))", "x) R 1");
  Waiting waiting(name);
  const pid_t pid = waiting.child().pid;
  const std::uint64_t start = start_time_by_hand(pid);
  CHECK(open_identified(pid, {.start_time = start}));
  CHECK_FALSE(open_identified(pid, {.start_time = start + 1}));
  CHECK_FALSE(open_identified(pid, {}));
  waiting.let_go();
  wait_for(waiting.child().pidfd);
  CHECK_FALSE(open_identified(pid, {.start_time = start}));
}

TEST_CASE("execve gives its errno where it fails, and arguments and variables where not",
          "[process]") {
  CHECK(execute("/no/such", {"x"}, {}) == ENOENT);
  CHECK(execute("/", {"x"}, {}) == EACCES);
  CHECK(execute("/dev/null", {"x"}, {}) == EACCES);
  const Child child = spawn({}, [] {
    return execute("/bin/sh",
                   {"name", "-c", "[ $0$1$A$B = onetwo34 ] && [ -z \"$C\" ]", "one", "two"},
                   {"A=3", "B=4", "C="});
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("what is no namespace is not joined", "[process]") {
  const Fd file = open_at(FdRef::cwd(), "/dev/null", O_RDONLY);
  CHECK_THROWS_WITH(join_namespaces(file, CLONE_NEWNET),
                    Catch::EndsWith("</dev/null>, CLONE_NEWNET): invalid argument"));
  CHECK_THROWS_WITH(unshare(1), "unshare(0x1): invalid argument");
}

TEST_CASE("a new session has this process at its head, and there is no second one", "[process]") {
  const Child child = spawn({}, [] {
    new_session();
    if (::getsid(0) != own_pid()) return 1;
    try {
      new_session();
    } catch (const Error& error) {
      return error.errno_value() == EPERM ? 0 : 2;
    }
    return 3;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("an orphan comes to the subreaper", "[process]") {
  const Child child = spawn({}, [] {
    become_subreaper();
    Pipe pipe = make_pipe();
    const Child middle = spawn({}, [&] {
      pipe.read_end.reset();
      const Child orphan = spawn({}, [] { return 9; });
      write_all(pipe.write_end, std::to_string(orphan.pid));
      return 0;
    });
    pipe.write_end.reset();
    const pid_t orphan = std::stoi(read_all(pipe.read_end));
    wait_for(middle.pidfd);
    int status = 0;
    return ::waitpid(orphan, &status, 0) == orphan ? WEXITSTATUS(status) : 1;
  });
  CHECK(wait_for(child.pidfd).code == 9);
}

TEST_CASE("a process is told of its parent's death", "[process]") {
  Pipe alive = make_pipe();
  const Child parent = spawn({}, [&] {
    Pipe ready = make_pipe();
    spawn({}, [&] {
      signal_at_parent_death(SIGKILL);
      write_all(ready.write_end, "!");
      return ::pause();
    });
    return receive_byte(ready.read_end) ? 0 : 1;
  });
  alive.write_end.reset();
  CHECK(wait_for(parent.pidfd).code == 0);
  // The end comes when the last that holds the pipe is gone: the grandchild did not outlive its
  // parent.
  CHECK(read_all(alive.read_end).empty());
}

TEST_CASE("a process can hide from ptrace and show itself again", "[process]") {
  const Child child = spawn({}, [] {
    set_dumpable(false);
    if (::prctl(PR_GET_DUMPABLE) != 0) return 1;
    set_dumpable(true);
    return ::prctl(PR_GET_DUMPABLE) == 1 ? 0 : 2;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("this process knows itself", "[process]") {
  CHECK(own_pid() == ::getpid());
  CHECK(own_user() == ::geteuid());
}

TEST_CASE("a descriptor of another process is copied, and one that it does not have is not",
          "[process]") {
  const Fd file = open_at(FdRef::cwd(), "/dev/zero", O_RDONLY);
  const Child child = spawn({}, [] {
    ::pause();
    return 0;
  });
  const Fd copy = copy_descriptor(child.pidfd, file.number());
  CHECK(copy.number() != file.number());
  CHECK((::fcntl(copy.number(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(status(copy).st_rdev == status(file).st_rdev);
  CHECK_THROWS_WITH(copy_descriptor(child.pidfd, 9999),
                    Catch::StartsWith("pidfd_getfd ") && Catch::EndsWith("bad file descriptor"));
  send_signal(child.pidfd, SIGKILL);
  wait_for(child.pidfd);
}

}  // namespace
}  // namespace tare::sys
