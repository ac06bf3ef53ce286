#include <sys/auxv.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "host/host.hpp"
#include "sys/file.hpp"

namespace tare {
namespace {

std::string read(const std::string& path) {
  return sys::read_file(sys::FdRef::cwd(), path);
}

TEST_CASE("the own cgroup is the one of hierarchy 0, whatever v1 lines stand around it", "[host]") {
  CHECK(own_cgroup_of("0::/user.slice/session-1.scope\n") == "/user.slice/session-1.scope");
  CHECK(own_cgroup_of("9:name=systemd:/a\n4:memory:/b\n0::/c\n") == "/c");
  CHECK(own_cgroup_of("10::/wrong\n0::/right\n1:cpu:/x\n") == "/right");
  CHECK(own_cgroup_of("0::/no newline") == "/no newline");
  CHECK(own_cgroup_of("0::/with:colon 0::/x\n") == "/with:colon 0::/x");
}

TEST_CASE("without a line of hierarchy 0 the own cgroup is the root", "[host]") {
  CHECK(own_cgroup_of("") == "/");
  CHECK(own_cgroup_of("4:memory:/b\n") == "/");
}

TEST_CASE("controllers are the words of a line", "[host]") {
  CHECK(words_of("cpuset cpu io\n") == std::set<std::string>{"cpuset", "cpu", "io"});
  CHECK(words_of("hugetlb") == std::set<std::string>{"hugetlb"});
  CHECK(words_of("\n").empty());
  CHECK(words_of("").empty());
}

TEST_CASE("the probe finds who calls", "[host]") {
  const Host host = probe_host({});
  CHECK(host.euid == ::geteuid());
  CHECK(host.egid == ::getegid());
  if (::geteuid() != 0) CHECK(host.rootless);
}

TEST_CASE("the probe's last capability is the kernel's", "[host]") {
  CHECK(probe_host({}).last_capability == std::stoi(read("/proc/sys/kernel/cap_last_cap")));
}

TEST_CASE("what was not asked for is not looked up", "[host]") {
  const Host host = probe_host({});
  CHECK(host.cgroup.own == "/");
  CHECK(host.cgroup.controllers.empty());
  const Host less = probe_host({.user_namespace = false, .cgroup_layout = false});
  CHECK(less.rootless == (::geteuid() != 0));
  CHECK(less.cgroup.mount_point == CgroupLayout{}.mount_point);
}

TEST_CASE("what was asked for is the kernel's answer", "[host]") {
  const Host host = probe_host({.own_cgroup = true, .controllers = true});
  if (host.cgroup.mount_point.empty()) {
    WARN("skipped: no cgroup v2 is mounted here");
    return;
  }
  CHECK(read("/proc/self/cgroup").find("0::" + host.cgroup.own + "\n") != std::string::npos);
  CHECK(host.cgroup.controllers == words_of(read(host.cgroup.mount_point + "/cgroup.controllers")));
  CHECK(host.cgroup.hybrid == (host.cgroup.mount_point == "/sys/fs/cgroup/unified"));
}

TEST_CASE("resctrl is found wherever it is mounted", "[host]") {
  CHECK(resctrl_in("").empty());
  CHECK(resctrl_in("25 30 0:23 / /sys rw,nosuid - sysfs sysfs rw\n").empty());
  CHECK(resctrl_in("25 30 0:23 / /sys rw - sysfs sysfs rw\n"
                   "44 25 0:40 / /srv/rdt rw,relatime shared:9 - resctrl resctrl rw\n") ==
        "/srv/rdt");
  CHECK(resctrl_in("- resctrl ").empty());
  CHECK(probe_resctrl("").mount_point.empty());
  CHECK_FALSE(probe_resctrl("/nonesuch").l3);
}

}  // namespace
}  // namespace tare
