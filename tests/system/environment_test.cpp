#include "features/environment.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>

#include "../scratch.hpp"
#include "sandbox.hpp"
#include "sys/access.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace tare {
namespace {

namespace fs = std::filesystem;

// Why a user who is not root cannot execute /mnt/a/b/tool, on a machine that `prepare` has spoiled.
std::string why_not(const std::function<void()>& prepare) {
  return test::on_machine([&] {
    const std::string tool = "/mnt/a/b/tool";
    test::write(tool, "#!/bin/sh\n");
    ::chmod(tool.c_str(), 0755);
    prepare();
    if (::setresuid(1000, 1000, 1000) < 0) return std::string("setresuid");
    const int number = sys::execute(tool, {"tool"}, {});
    return environment::explain_exec_failure(tool, number).message();
  });
}

std::string attempt(const environment::Plan& plan) {
  try {
    return environment::find_executable(plan);
  } catch (const Error& error) {
    return error.message();
  }
}

}  // namespace

TEST_CASE("environment: the directory that a user may not search is named") {
  if (test::skip_unless_root()) return;
  CHECK(why_not([] { ::chmod("/mnt/a/b", 0700); }) ==
        "exec /mnt/a/b/tool: permission denied: the directory /mnt/a/b may not be searched by this "
        "user");
}

TEST_CASE("environment: the mode that keeps a user from a program is named") {
  if (test::skip_unless_root()) return;
  CHECK(why_not([] { ::chmod("/mnt/a/b/tool", 0744); }) ==
        "exec /mnt/a/b/tool: permission denied: its mode 0744 does not let this user execute it");
}

TEST_CASE("environment: a mount without execution is named as the reason") {
  if (test::skip_unless_root()) return;
  CHECK(why_not([] {
          test::mount("/mnt/a", "/mnt/a", nullptr, MS_BIND);
          test::mount("", "/mnt/a", nullptr, MS_BIND | MS_REMOUNT | MS_NOEXEC);
        }) == "exec /mnt/a/b/tool: permission denied: it lies on a mount with the option noexec");
}

TEST_CASE("environment: a program that its user may not read is still told about") {
  if (test::skip_unless_root()) return;
  CHECK(why_not([] {
          test::write("/mnt/a/b/tool", "no program");
          ::chmod("/mnt/a/b/tool", 0711);
        }) == "exec /mnt/a/b/tool: exec format error");
}

TEST_CASE("environment: a program is looked for with the rights of the container's user") {
  if (test::skip_unless_root()) return;
  CHECK(test::on_machine([] {
          for (const char* name : {"/mnt/closed/tool", "/mnt/open/tool"}) {
            test::write(name);
            ::chmod(name, 0755);
          }
          ::chmod("/mnt/closed", 0700);
          const environment::Plan by_name{.arguments = {"tool"},
                                          .variables = {"PATH=/mnt/closed:/mnt/open"}};
          const environment::Plan by_path{.arguments = {"/mnt/closed/tool"}};
          const std::string as_root = attempt(by_name);
          if (::setresuid(1000, 1000, 1000) < 0) return std::string("setresuid");
          return as_root + " " + attempt(by_name) + " " + attempt(by_path);
        }) ==
        "/mnt/closed/tool /mnt/open/tool exec: \"/mnt/closed/tool\": stat /mnt/closed/tool: "
        "permission denied");
}

TEST_CASE(
    "environment: a working directory that leads out of the root is refused "
    "(CVE-2024-21626)") {
  if (test::skip_unless_root()) return;
  const std::string said = test::on_machine([] {
    const sys::Fd leak = sys::open_at(sys::FdRef::cwd(), "/mnt", O_RDONLY | O_DIRECTORY);
    fs::create_directories("/mnt/root/proc");
    test::mount("proc", "/mnt/root/proc", "proc", 0);
    if (::chroot("/mnt/root") < 0) return std::string("chroot");
    environment::enter_directory({.directory = fmt::format("/proc/self/fd/{}", leak.number())});
    return std::string("entered");
  });
  CHECK(said ==
        "error: current working directory is outside of container mount namespace root -- possible "
        "container breakout detected");
}

TEST_CASE("environment: a working directory is not made through a descriptor of the host") {
  if (test::skip_unless_root()) return;
  CHECK_THAT(test::on_machine([] {
               const sys::Fd leak = sys::open_at(sys::FdRef::cwd(), "/mnt", O_RDONLY | O_DIRECTORY);
               fs::create_directories("/mnt/root/proc");
               test::mount("proc", "/mnt/root/proc", "proc", 0);
               const sys::Root root(sys::open_at(sys::FdRef::cwd(), "/mnt/root", O_PATH));
               try {
                 environment::make_directory_in_init(
                     {.directory = fmt::format("/proc/self/fd/{}/made", leak.number())}, root);
               } catch (const Error& error) {
                 return error.message() + (fs::exists("/mnt/made") ? " made" : "");
               }
               return std::string("made");
             }),
             Catch::EndsWith("too many levels of symbolic links"));
}

TEST_CASE("environment: a closed working directory is told by EACCES, to be tried as its user") {
  if (test::skip_unless_root()) return;
  CHECK(test::on_machine([] {
          fs::create_directory("/mnt/home");
          if (::chown("/mnt/home", 1000, 1000) < 0) return std::string("chown");
          ::chmod("/mnt/home", 0700);
          const environment::Plan plan{.directory = "/mnt/home"};
          // Another user, as root is on a filesystem that squashes it.
          const sys::Child other = sys::spawn({}, [&] {
            if (::setresuid(2000, 2000, 2000) < 0) return 1;
            try {
              environment::enter_directory(plan);
            } catch (const Error& error) {
              return error.errno_value() == EACCES ? 0 : 2;
            }
            return 3;
          });
          if (sys::wait_for(other.pidfd).code != 0) return std::string("not EACCES");
          if (::setresuid(1000, 1000, 1000) < 0) return std::string("setresuid");
          environment::enter_directory(plan);
          return sys::current_directory();
        }) == "/mnt/home");
}

TEST_CASE("environment: a passwd that is a device is not opened") {
  if (test::skip_unless_root()) return;
  CHECK(test::on_machine([] {
          fs::create_directory("/mnt/etc");
          // A tape: opening it would wind, if there were one; here there is none, and an open
          // fails.
          if (::mknod("/mnt/etc/passwd", S_IFCHR | 0666, 0) < 0) return std::string("mknod");
          const sys::Root root(sys::open_at(sys::FdRef::cwd(), "/mnt", O_PATH | O_DIRECTORY));
          return environment::home_of(root, 0);
        }) == "/");
}

}  // namespace tare
