/// A cgroup for one test, and processes in it. Everything is gone at its end, whatever the test
/// did.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "features/cgroup.hpp"
#include "sys/cgroup_file.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace tare::test {

/// True where cgroups can be made here; says why not otherwise.
inline bool can_make_cgroups(const Host& host) {
  if (host.rootless || host.cgroup.mount_point.empty()) {
    WARN("skipped: needs root and a mounted cgroup v2 tree");
    return false;
  }
  return true;
}

/// A process that only waits, killed and reaped at the end.
class Sleeper {
 public:
  explicit Sleeper(sys::FdRef cgroup)
      : child_(sys::spawn({.cgroup = cgroup}, [] {
          for (;;) ::pause();
          return 0;
        })) {}
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  ~Sleeper() { end(); }

  int pid() const { return child_.pid; }
  bool has_ended() const { return sys::has_ended(child_.pidfd); }
  void end() {
    if (reaped_) return;
    sys::send_signal(child_.pidfd, SIGKILL);
    sys::wait_for(child_.pidfd);
    reaped_ = true;
  }

 private:
  sys::Child child_;
  bool reaped_ = false;
};

/// "/tare-system-PID" below the mount point, not made yet.
class CgroupScratch {
 public:
  explicit CgroupScratch(const Host& host)
      : mount_point_(host.cgroup.mount_point), enabled_before_(enabled_controllers()) {}
  CgroupScratch(const CgroupScratch&) = delete;
  CgroupScratch& operator=(const CgroupScratch&) = delete;
  ~CgroupScratch() {
    sys::try_write_value(sys::FdRef::cwd(), directory("") + "/cgroup.freeze", "0");
    cgroup::kill_all(directory(""));
    cgroup::remove(directory(""));
    for (const std::string& name : enabled_controllers()) {
      if (enabled_before_.contains(name)) continue;
      sys::try_write_value(sys::FdRef::cwd(), mount_point_ + "/cgroup.subtree_control", "-" + name);
    }
  }

  std::string path(const std::string& below) const {
    return "/tare-system-" + std::to_string(::getpid()) + below;
  }
  std::string directory(const std::string& below) const { return mount_point_ + path(below); }
  cgroup::Plan plan(const std::string& below) const {
    return {.mount_point = mount_point_, .path = path(below)};
  }
  bool exists(const std::string& below) const {
    return sys::find_status(sys::FdRef::cwd(), directory(below)).has_value();
  }
  std::string value(const std::string& file) const {
    return sys::read_file(sys::FdRef::cwd(), directory(file));
  }
  void write(const std::string& file, const std::string& value) const {
    sys::write_value(sys::FdRef::cwd(), directory(file), value);
  }
  sys::Fd make(const std::string& below) const {
    return cgroup::apply_in_parent(plan(below)).directory;
  }

 private:
  std::set<std::string> enabled_controllers() const {
    return words_of(sys::read_file(sys::FdRef::cwd(), mount_point_ + "/cgroup.subtree_control"));
  }
  std::string mount_point_;
  std::set<std::string> enabled_before_;
};

}  // namespace tare::test
