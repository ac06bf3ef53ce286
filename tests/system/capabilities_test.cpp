#include "features/capabilities.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>

#include "sandbox.hpp"
#include "scratch.hpp"
#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace tare::capabilities {
namespace {

constexpr Set bit(int number) {
  return Set{1} << static_cast<unsigned>(number);
}

constexpr Set kRaw = bit(CAP_NET_RAW);
constexpr Set kKill = bit(CAP_KILL);
constexpr Set kOverride = bit(CAP_DAC_OVERRIDE);
// What Docker gives by default.
constexpr Set kDocker = 0xa80425fb;

std::string field_of(const std::string& status, const std::string& name) {
  const std::size_t start = status.find(name + ":\t") + name.size() + 2;
  return status.substr(start, status.find('\n', start) - start);
}

// The five sets, securebits and no more, as the kernel tells them of a process.
std::string sets_in(const std::string& status) {
  std::string text;
  for (const char* name : {"CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"}) {
    text += fmt::format("{}={:x} ", name + 3, std::stoull(field_of(status, name), nullptr, 16));
  }
  text.pop_back();
  return text;
}

std::string own_sets() {
  return sets_in(sys::read_file(sys::FdRef::cwd(), "/proc/self/status"));
}

std::string expected(const Plan& plan) {
  return fmt::format("Bnd={:x} Prm={:x} Eff={:x} Inh={:x} Amb={:x}", plan.bounding, plan.permitted,
                     plan.effective, plan.inheritable, plan.ambient);
}

// What a program has that this process executes.
std::string sets_of_program(const std::string& path = "/bin/cat") {
  int ends[2] = {};
  if (::pipe2(ends, O_CLOEXEC) < 0) throw std::runtime_error("pipe2");
  const sys::Fd reading(ends[0]);
  sys::Fd writing(ends[1]);
  const sys::Child child = sys::spawn({}, [&] {
    ::dup2(writing.number(), 1);
    return sys::execute(path, {"cat", "/proc/self/status"}, {});
  });
  writing.reset();
  const std::string status = sys::read_all(reading);
  if (sys::wait_for(child.pidfd).code != 0) throw std::runtime_error("no " + path);
  return sets_in(status);
}

// All that a payload's process goes through.
void become(const Plan& plan, uid_t uid) {
  narrow(plan, 0);
  keep_across_user_change();
  sys::set_groups({});
  sys::set_gid(uid);
  sys::set_uid(uid);
  apply(plan);
}

std::string after(const Plan& plan, uid_t uid, const std::function<std::string()>& look) {
  return test::in_child(0, [&] {
    become(plan, uid);
    return look();
  });
}

const Plan kUneven{.bounding = kRaw | kKill | kOverride,
                   .effective = kKill,
                   .inheritable = kRaw,
                   .permitted = kRaw | kKill,
                   .ambient = kRaw};

TEST_CASE("capabilities: the five sets are exactly what was asked, for root and for others",
          "[capabilities]") {
  if (test::skip_unless_root()) return;
  const Plan plans[] = {{},
                        {.bounding = kDocker, .effective = kDocker, .permitted = kDocker},
                        {.bounding = kDocker,
                         .effective = kDocker,
                         .inheritable = kDocker,
                         .permitted = kDocker,
                         .ambient = kDocker},
                        // Inheritable without being permitted, and permitted out of bounds.
                        {.bounding = kRaw, .inheritable = kRaw, .permitted = kKill},
                        kUneven};
  for (const Plan& plan : plans) {
    for (const uid_t uid : {0U, 1000U}) {
      CAPTURE(uid);
      CHECK(after(plan, uid, own_sets) == expected(plan));
    }
  }
}

TEST_CASE("capabilities: in a user namespace all that its root has can be given",
          "[capabilities]") {
  if (test::skip_unless_root()) return;
  const Set all = bit(41) - 1;
  const Plan everything{.bounding = all, .effective = all, .permitted = all};
  CHECK(test::in_child(CLONE_NEWUSER, [&] {
          become(everything, 1000);
          return own_sets();
        }) == expected(everything));
}

TEST_CASE("capabilities: no securebit is left on, whatever the caller had", "[capabilities]") {
  if (test::skip_unless_root()) return;
  const auto bits = [] { return fmt::format("{:#x}", sys::secure_bits()); };
  CHECK(after(kUneven, 0, bits) == "0x0");
  CHECK(after(kUneven, 1000, bits) == "0x0");
  CHECK(test::in_child(0, [&] {
          sys::set_secure_bits(issecure_mask(SECURE_NOROOT) |
                               issecure_mask(SECURE_NO_SETUID_FIXUP) |
                               issecure_mask(SECURE_KEEP_CAPS));
          become(kUneven, 1000);
          return bits();
        }) == "0x0");
}

TEST_CASE("capabilities: locked securebits are an error before anything is given up",
          "[capabilities]") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(0, [] {
          sys::set_secure_bits(issecure_mask(SECURE_NOROOT) | issecure_mask(SECURE_NOROOT_LOCKED));
          narrow(kUneven, 0);
          return std::string("narrowed");
        }) == "error: prctl(PR_SET_SECUREBITS, 0x0): operation not permitted");
}

TEST_CASE("capabilities: the caller's ambient and inheritable ones are gone", "[capabilities]") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(0, [] {
          sys::CapabilitySets own = sys::own_capabilities();
          own.inheritable = kRaw | kKill;
          sys::set_capabilities(own);
          sys::raise_ambient(CAP_KILL);
          sys::raise_ambient(CAP_NET_RAW);
          const Plan plan{.bounding = kKill, .permitted = kKill | kRaw};
          become(plan, 0);
          return own_sets();
        }) == "Bnd=20 Prm=2020 Eff=0 Inh=0 Amb=0");
}

TEST_CASE("capabilities: one that may be ambient is not unless it was asked for",
          "[capabilities]") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(0, [] {
          sys::CapabilitySets own = sys::own_capabilities();
          own.inheritable = kKill;
          sys::set_capabilities(own);
          sys::raise_ambient(CAP_KILL);
          become({.bounding = kKill, .inheritable = kKill, .permitted = kKill}, 0);
          return own_sets();
        }) == "Bnd=20 Prm=20 Eff=0 Inh=20 Amb=0");
}

// CVE-2016-8867: ambient capabilities that nobody asked for kept a non-root user privileged.
TEST_CASE("capabilities: a user who is not root loses on execve all that is not ambient",
          "[capabilities]") {
  if (test::skip_unless_root()) return;
  const Plan plan{.bounding = kDocker, .effective = kDocker, .permitted = kDocker};
  CHECK(after(plan, 1000, [] { return sets_of_program(); }) ==
        fmt::format("Bnd={:x} Prm=0 Eff=0 Inh=0 Amb=0", kDocker));
  CHECK(after(kUneven, 1000, [] { return sets_of_program(); }) ==
        fmt::format("Bnd={:x} Prm={:x} Eff={:x} Inh={:x} Amb={:x}", kUneven.bounding, kRaw, kRaw,
                    kRaw, kRaw));
}

TEST_CASE("capabilities: root gains on execve what is in bounds and nothing else",
          "[capabilities]") {
  if (test::skip_unless_root()) return;
  CHECK(after({.bounding = kRaw}, 0, [] { return sets_of_program(); }) ==
        fmt::format("Bnd={0:x} Prm={0:x} Eff={0:x} Inh=0 Amb=0", kRaw));
}

// A file capability that asks only for what its executor has as inheritable.
void give_inheritable(const std::string& path, Set set) {
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].inheritable = static_cast<__le32>(set);
  if (::setxattr(path.c_str(), "security.capability", &data, XATTR_CAPS_SZ_2, 0) < 0) {
    throw std::runtime_error("setxattr " + path);
  }
}

// CVE-2022-29162 and its kin: with a non-empty inheritable set, file capabilities gave them back.
TEST_CASE("capabilities: a file's inheritable ones give nothing to who inherits nothing",
          "[capabilities]") {
  if (test::skip_unless_root()) return;
  const auto with_file = [](const Plan& plan) {
    return test::on_machine([&] {
      std::filesystem::copy_file("/bin/cat", "/mnt/cat");
      give_inheritable("/mnt/cat", kOverride);
      become(plan, 1000);
      return sets_of_program("/mnt/cat");
    });
  };
  CHECK(with_file({.bounding = kOverride, .effective = kOverride, .permitted = kOverride}) ==
        "Bnd=2 Prm=0 Eff=0 Inh=0 Amb=0");
  // The file does give it to who inherits it, or the line above would prove nothing.
  CHECK(with_file({.bounding = kOverride, .inheritable = kOverride}) ==
        "Bnd=2 Prm=2 Eff=2 Inh=2 Amb=0");
}

TEST_CASE("capabilities: once narrowed, only what is still needed is left", "[capabilities]") {
  if (test::skip_unless_root()) return;
  const Set needs = bit(CAP_SETUID) | bit(CAP_SETGID) | bit(CAP_SETPCAP);
  const auto narrowed = [](Set further) {
    return test::in_child(0, [further] {
      sys::CapabilitySets own = sys::own_capabilities();
      own.inheritable = kKill;
      sys::set_capabilities(own);
      narrow(kUneven, further);
      return own_sets();
    });
  };
  const auto left = [](Set set) {
    return fmt::format("Bnd={0:x} Prm={1:x} Eff={1:x} Inh=0 Amb=0", kUneven.bounding, set);
  };
  CHECK(narrowed(0) == left(kRaw | kKill | needs));
  CHECK(narrowed(bit(CAP_CHOWN)) == left(kRaw | kKill | needs | bit(CAP_CHOWN)));
}

TEST_CASE("capabilities: a bounding set that was never narrowed is found out", "[capabilities]") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(0, [] {
          apply(kUneven);
          return std::string("applied");
        }) == "error: the bounding set of capabilities was not narrowed");
}

TEST_CASE("capabilities: what the caller itself lacks is named", "[capabilities]") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(0, [] {
          sys::CapabilitySets own = sys::own_capabilities();
          own.effective &= ~kRaw;
          own.permitted &= ~kRaw;
          sys::set_capabilities(own);
          try {
            const Plan plan{.bounding = kRaw, .permitted = kRaw | kKill};
            narrow(plan, 0);
            apply(plan);
          } catch (const Error& error) {
            return error.field() + ": " + error.hint();
          }
          return std::string("applied");
        }) == "/process/capabilities: the caller itself lacks CAP_NET_RAW");
}

}  // namespace
}  // namespace tare::capabilities
