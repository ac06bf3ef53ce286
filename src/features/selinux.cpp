#include "features/selinux.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "sys/procfs.hpp"

namespace tare::selinux {
namespace {

constexpr char kLabel[] = "/process/selinuxLabel";
constexpr char kMountLabel[] = "/linux/mountLabel";
constexpr char kTypeName[] = "run.oci.mount_context_type";
// A write to procfs is cut at a page (proc_pid_attr_write, fs/proc/base.c).
constexpr std::size_t kMaxLabel = 4000;

constexpr std::string_view kTypes[] = {"context", "fscontext", "defcontext", "rootcontext"};

bool is_control(char letter) {
  return static_cast<unsigned char>(letter) < ' ' || letter == '\x7f' || letter == '"';
}

void require_selinux(const Host& host, std::string text, const char* field) {
  if (host.selinux) return;
  Error error(ErrorKind::unsupported, std::move(text),
              fmt::format("remove {}, or boot with SELinux", field));
  error.set_field(field);
  throw error;
}

}  // namespace

void check_label(const std::string& label, const std::string& field) {
  if (label.size() <= kMaxLabel && std::none_of(label.begin(), label.end(), is_control)) return;
  Error error(ErrorKind::spec, "this is no SELinux context");
  error.set_field(field);
  throw error;
}

Spec read(const spec::Reader& process) {
  Spec spec{.label = process.string_or("selinuxLabel", "")};
  check_label(spec.label, kLabel);
  return spec;
}

MountSpec read_mount(const spec::Reader& linux_object,
                     const std::map<std::string, std::string>& annotations) {
  MountSpec spec{.label = linux_object.string_or("mountLabel", ""), .type = "context"};
  check_label(spec.label, kMountLabel);
  const auto type = annotations.find(kTypeName);
  if (type == annotations.end()) return spec;
  spec.type = type->second;
  if (std::find(std::begin(kTypes), std::end(kTypes), spec.type) == std::end(kTypes)) {
    Error error(
        ErrorKind::spec,
        fmt::format("invalid mount context type \"{}\" (must be one of: context, fscontext, "
                    "defcontext, rootcontext)",
                    spec.type));
    error.set_field(fmt::format("/annotations/{}", kTypeName));
    throw error;
  }
  return spec;
}

Plan plan(const Spec& spec, const Host& host) {
  if (spec.label.empty()) return {};
  require_selinux(host,
                  "selinux label is specified in config, but selinux is disabled or not supported",
                  kLabel);
  return {.label = spec.label};
}

MountPlan plan_mount(const MountSpec& spec, const Host& host) {
  if (spec.label.empty()) return {};
  require_selinux(host,
                  "a mount label is specified in config, but selinux is disabled or not supported",
                  kMountLabel);
  return {.label = spec.label, .type = spec.type};
}

void apply_to_keyring(const Plan& plan, sys::FdRef procfs) {
  if (plan.label.empty()) return;
  asked_by([] { return kLabel; },
           [&] {
             in_context([] { return "can't set the label of the session keyring"; },
                        [&] { sys::write_own_attribute(procfs, "keycreate", plan.label); });
           });
}

void apply(const Plan& plan, sys::FdRef procfs) {
  if (plan.label.empty()) return;
  asked_by([] { return kLabel; },
           [&] {
             in_context([] { return "can't set process label"; },
                        [&] {
                          if (sys::write_own_attribute(procfs, "exec", plan.label)) return;
                          throw Error(ErrorKind::unsupported,
                                      "`/proc/thread-self/attr/exec`: this kernel has none");
                        });
           });
}

void explain(const Plan& plan, Explain& out) {
  if (plan.label.empty()) return;
  out.add("selinux", fmt::format("execute with the SELinux label {}", plan.label), kLabel);
}

void explain(const MountPlan& plan, Explain& out) {
  if (plan.label.empty()) return;
  out.add("selinux", fmt::format("make filesystems with {}={}", plan.type, plan.label),
          kMountLabel);
}

}  // namespace tare::selinux
