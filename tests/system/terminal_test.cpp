#include "features/terminal.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/terminal.hpp"

namespace tare {
namespace {

namespace fs = std::filesystem;

const std::string kRoot = "/mnt/rootfs";
const std::string kConsole = kRoot + "/dev/console";
constexpr terminal::Plan kAsked{.enabled = true};

sys::Root root() {
  return sys::Root(sys::open_at(sys::FdRef::cwd(), kRoot, O_PATH | O_DIRECTORY));
}

// A rootfs on a machine of its own, with a devpts where `has_devpts`; gives the answer of `body`.
std::string in_rootfs(bool has_devpts, const std::function<std::string()>& body) {
  return test::on_machine([&] {
    fs::create_directories(kRoot + "/dev/pts");
    if (has_devpts) {
      test::mount("devpts", kRoot + "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                  "newinstance,ptmxmode=0666,mode=0620");
    }
    return body();
  });
}

// "c 136:0", the type and the device of what a path names; links are not followed.
std::string kind_of(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) < 0) return "nothing";
  const char type = S_ISCHR(found.st_mode)   ? 'c'
                    : S_ISLNK(found.st_mode) ? 'l'
                    : S_ISREG(found.st_mode) ? 'f'
                                             : '?';
  if (type != 'c') return std::string(1, type);
  return fmt::format("c {}:{}", major(found.st_rdev), minor(found.st_rdev));
}

std::string open_and_mount() {
  const terminal::Pty pty = terminal::open(kAsked, root());
  terminal::mount_console(pty, root());
  return pty.name + " " + kind_of(kConsole);
}

}  // namespace

TEST_CASE("terminal: it is the first of the container's own devpts, and its console") {
  if (test::skip_unless_root()) return;
  CHECK(in_rootfs(true, open_and_mount) == "/dev/pts/0 c 136:0");
}

TEST_CASE("terminal: what is written to one side comes out at the other, by the console too") {
  if (test::skip_unless_root()) return;
  CHECK(in_rootfs(true, [] {
          const terminal::Pty pty = terminal::open(kAsked, root());
          terminal::mount_console(pty, root());
          const sys::Fd console = sys::open_at(sys::FdRef::cwd(), kConsole, O_RDWR);
          sys::write_all(console, "hello\n");
          char text[16] = {};
          const ssize_t got = ::read(pty.master.number(), text, sizeof text - 1);
          const int flags = ::fcntl(pty.master.number(), F_GETFL);
          return fmt::format("{} {} {}", got, text, (flags & O_NONBLOCK) == 0 ? "blocking" : "");
        }) == "7 hello\r\n blocking");
}

TEST_CASE("terminal: it has the size that the config asks for") {
  if (test::skip_unless_root()) return;
  CHECK(in_rootfs(true, [] {
          const terminal::Pty pty =
              terminal::open({.enabled = true, .rows = 11, .columns = 22}, root());
          const sys::WindowSize size = sys::find_window_size(pty.slave).value();
          return fmt::format("{}x{}", size.columns, size.rows);
        }) == "22x11");
}

TEST_CASE("terminal: it comes from the devpts that is given, whatever lies at /dev/pts") {
  if (test::skip_unless_root()) return;
  CHECK(in_rootfs(true, [] {
          const sys::Fd devpts = sys::open_at(sys::FdRef::cwd(), kRoot + "/dev/pts", O_PATH);
          test::mount("cover", kRoot + "/dev/pts", "tmpfs", 0);
          return terminal::open(kAsked, root(), devpts).name;
        }) == "/dev/pts/0");
}

TEST_CASE("terminal: the session leader has it on all three streams, as its user's own") {
  if (test::skip_unless_root()) return;
  CHECK(in_rootfs(true, [] {
          const terminal::Pty pty = terminal::open(kAsked, root());
          const sys::Child leader = sys::spawn({}, [&] {
            sys::new_session();
            terminal::attach(pty, 1000);
            const bool ours = ::tcgetsid(0) == ::getpid() && ::isatty(1) == 1 && ::isatty(2) == 1;
            const bool kept = ::fcntl(0, F_GETFD) == 0 && ::fcntl(2, F_GETFD) == 0;
            return ours && kept ? 0 : 1;
          });
          const int code = sys::wait_for(leader.pidfd).code;
          return fmt::format("{} {}", code, test::mode_of(kRoot + "/dev/pts/0"));
        }) == "0 620 1000:0");
}

TEST_CASE("terminal: a devpts with other modes gives a terminal of the usual mode") {
  if (test::skip_unless_root()) return;
  CHECK(in_rootfs(false, [] {
          test::mount("devpts", kRoot + "/dev/pts", "devpts", 0, "newinstance,mode=0666,gid=5");
          const terminal::Pty pty = terminal::open(kAsked, root());
          const sys::Child leader = sys::spawn({}, [&] {
            sys::new_session();
            terminal::attach(pty, 0);
            return 0;
          });
          sys::wait_for(leader.pidfd);
          return test::mode_of(kRoot + "/dev/pts/0");
        }) == "620 0:5");
}

TEST_CASE("terminal: what only looks like a devpts is refused (CVE-2025-52565)") {
  if (test::skip_unless_root()) return;
  const std::string ptmx = kRoot + "/dev/pts/ptmx";
  const auto said = [&](const std::function<void()>& prepare) {
    return in_rootfs(false, [&] {
      prepare();
      return open_and_mount();
    });
  };
  const std::string refusal = "error: /dev/pts is no devpts, from which the terminal could come";
  CHECK(said([] {}) == refusal);
  CHECK(said([&] { test::write(ptmx); }) == refusal);
  CHECK(said([&] { ::mkfifo(ptmx.c_str(), 0666); }) == refusal);
  CHECK(said([&] { fs::create_symlink("/dev/ptmx", ptmx); }) == refusal);
  CHECK(said([&] { ::mknod(ptmx.c_str(), S_IFCHR | 0666, makedev(5, 2)); }) == refusal);
}

TEST_CASE("terminal: a link at /dev/pts stays within the root") {
  if (test::skip_unless_root()) return;
  CHECK(in_rootfs(false, [] {
          fs::remove(kRoot + "/dev/pts");
          fs::create_symlink("/../../dev/pts", kRoot + "/dev/pts");
          return open_and_mount();
        }).starts_with("error: open /dev/pts in "));
}

TEST_CASE("terminal: what is mounted over ptmx is refused") {
  if (test::skip_unless_root()) return;
  CHECK_THAT(in_rootfs(true,
                       [] {
                         test::mount("/dev/null", kRoot + "/dev/pts/ptmx", nullptr, MS_BIND);
                         return open_and_mount();
                       }),
             Catch::StartsWith("error: open a terminal from /dev/pts: open ptmx beneath ") &&
                 Catch::EndsWith("invalid cross-device link"));
}

TEST_CASE("terminal: a link at /dev/console makes nothing and hides nothing (CVE-2026-88264)") {
  if (test::skip_unless_root()) return;
  const auto said = [](const std::string& target) {
    return in_rootfs(true, [&] {
      test::write(kRoot + "/etc/inside", "untouched");
      test::write("/mnt/outside", "untouched");
      fs::create_symlink(target, kConsole);
      const sys::Fd own = test::own_proc();
      const std::string message = test::in_child(0, open_and_mount);
      const bool hidden = test::mounted(own, kRoot + "/etc/inside").count > 0 ||
                          test::mounted(own, "/mnt/outside").count > 0;
      return message + (hidden ? " hidden" : "") + (fs::exists("/mnt/made") ? " made" : "");
    });
  };
  const std::string refusal =
      "error: mount the terminal on /dev/console: open /dev/console: too many levels of symbolic "
      "links";
  CHECK(said("/etc/inside") == refusal);
  CHECK(said("/mnt/outside") == refusal);
  CHECK(said("../../../mnt/made") == refusal);
  CHECK(said("/proc/sysrq-trigger") == refusal);
  CHECK(said("console") == refusal);
}

TEST_CASE("terminal: whatever file is at /dev/console is covered, a directory is refused") {
  if (test::skip_unless_root()) return;
  const auto said = [](const std::function<void()>& prepare) {
    return in_rootfs(true, [&] {
      prepare();
      return open_and_mount();
    });
  };
  CHECK(said([] { test::write(kConsole, "text"); }) == "/dev/pts/0 c 136:0");
  CHECK(said([] { ::mkfifo(kConsole.c_str(), 0666); }) == "/dev/pts/0 c 136:0");
  CHECK(said([] { ::mknod(kConsole.c_str(), S_IFCHR, makedev(5, 1)); }) == "/dev/pts/0 c 136:0");
  CHECK_THAT(said([] { fs::create_directory(kConsole); }), Catch::EndsWith("is a directory"));
}

TEST_CASE("terminal: a read-only /dev with a console on it will do") {
  if (test::skip_unless_root()) return;
  CHECK(in_rootfs(false, [] {
          test::write(kConsole);
          test::mount(kRoot + "/dev", kRoot + "/dev", nullptr, MS_BIND);
          test::mount("devpts", kRoot + "/dev/pts", "devpts", 0, "newinstance");
          test::mount("", kRoot + "/dev", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY);
          return open_and_mount();
        }) == "/dev/pts/0 c 136:0");
}

TEST_CASE("terminal: in a user namespace of its own it works, for every user that is mapped") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(CLONE_NEWUSER | CLONE_NEWNS, [] {
          test::mount("scratch", "/mnt", "tmpfs", 0);
          fs::create_directories(kRoot + "/dev/pts");
          test::mount("devpts", kRoot + "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666");
          const terminal::Pty pty = terminal::open(kAsked, root());
          terminal::mount_console(pty, root());
          const sys::Child leader = sys::spawn({}, [&] {
            sys::new_session();
            terminal::attach(pty, 1000);
            return 0;
          });
          const int code = sys::wait_for(leader.pidfd).code;
          return fmt::format("{} {} {}", kind_of(kConsole), code, test::mode_of(kRoot + pty.name));
        }) == "c 136:0 0 620 1000:0");
}

}  // namespace tare
