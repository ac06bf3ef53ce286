#include "features/apparmor.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "sys/procfs.hpp"

namespace tare::apparmor {
namespace {

constexpr char kField[] = "/process/apparmorProfile";
constexpr std::string_view kUnconfined = "unconfined";
// What is written is "exec NAME" and fits into a page, or the kernel would cut it
// (proc_pid_attr_write, fs/proc/base.c).
constexpr std::size_t kMaxName = 4000;

bool is_control(char letter) {
  return static_cast<unsigned char>(letter) < ' ' || letter == '\x7f';
}

}  // namespace

void check_name(const std::string& profile) {
  if (profile.size() <= kMaxName && std::none_of(profile.begin(), profile.end(), is_control)) {
    return;
  }
  Error error(ErrorKind::spec, "no AppArmor profile can have this name");
  error.set_field(kField);
  throw error;
}

Spec read(const spec::Reader& process) {
  Spec spec{.profile = process.string_or("apparmorProfile", "")};
  check_name(spec.profile);
  return spec;
}

Plan plan(const Spec& spec, const Host& host) {
  if (spec.profile.empty()) return {};
  if (host.apparmor) return {.profile = spec.profile};
  // Engines write it for a privileged container without looking whether there is an AppArmor.
  if (spec.profile == kUnconfined) return {};
  Error error(ErrorKind::unsupported,
              fmt::format("apparmor failed to apply profile: \"{}\" is asked for, and apparmor is "
                          "not enabled on this machine",
                          spec.profile),
              "remove process.apparmorProfile, or boot with AppArmor");
  error.set_field(kField);
  throw error;
}

void apply(const Plan& plan, sys::FdRef procfs) {
  if (plan.profile.empty()) return;
  asked_by(
      [] { return kField; },
      [&] {
        // The kernel's "no such file" is about the profile, so the profile is named.
        in_context(
            [&] { return fmt::format("apparmor failed to apply profile: \"{}\"", plan.profile); },
            [&] {
              const std::string value = "exec " + plan.profile;
              // The file of AppArmor's own is from Linux 5.8;
              // before, it shared one with SELinux.
              if (sys::write_own_attribute(procfs, "apparmor/exec", value)) return;
              if (sys::write_own_attribute(procfs, "exec", value)) return;
              throw Error(ErrorKind::unsupported,
                          "`/proc/thread-self/attr/exec`: this kernel has none");
            });
      });
}

void explain(const Plan& plan, Explain& out) {
  if (plan.profile.empty()) return;
  out.add("apparmor", fmt::format("execute under the AppArmor profile {}", plan.profile), kField);
}

}  // namespace tare::apparmor
