#include "features/annotations.hpp"

#include <string_view>

#include "features/handler.hpp"

namespace tare::annotations {
namespace {

constexpr spec::Word<std::string_view> kRefused[] = {
    {"run.oci.seccomp.plugins", "a static program cannot load libraries"},
    {"run.oci.systemd.force_cgroup_v1", "containers are in cgroup v2 only"},
};

}  // namespace

std::map<std::string, std::string> read(const spec::Reader& top) {
  std::map<std::string, std::string> out;
  const std::optional<spec::Reader> list = top.find("annotations");
  if (!list) return out;
  for (const auto& word : kRefused) list->refuse(word.name, word.value);
  for (const auto& [name, value] : list->members()) {
    if (name.empty()) throw list->error("an annotation's name must not be empty");
    out.emplace(name, value.string());
  }
  return out;
}

std::vector<std::string> acted_on() {
  return {
      std::string(handler::kByVariant),
      "org.criu.config",
      "org.systemd.property.",
      "run.oci.delegate-cgroup",
      std::string(handler::kByName),
      "run.oci.hooks.stderr",
      "run.oci.hooks.stdout",
      "run.oci.keep_original_groups",
      "run.oci.mount_context_type",
      "run.oci.pidfd_receiver",
      "run.oci.seccomp.receiver",
      "run.oci.seccomp_bpf_data",
      "run.oci.seccomp_fail_unknown_syscall",
      "run.oci.systemd.subgroup",
  };
}

}  // namespace tare::annotations
