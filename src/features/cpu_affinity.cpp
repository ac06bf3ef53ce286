#include "features/cpu_affinity.hpp"

#include <fmt/core.h>

#include <cerrno>

#include "features/number_list.hpp"

namespace tare::cpu_affinity {
namespace {

// Far above what a kernel can be built for (8,192), and a mask of 8 KiB at most.
constexpr unsigned kHighestCpu = 65'535;

sys::NumberMask read_list(const spec::Reader& object, std::string_view key) {
  const std::optional<spec::Reader> list = object.find(key);
  return list ? number_list::read(*list, "invalid list of CPUs", kHighestCpu) : sys::NumberMask();
}

void set(const sys::NumberMask& cpus, pid_t pid, const char* field, const char* stage) {
  if (cpus.empty()) return;
  in_context(
      [&] { return fmt::format("set the {} CPU affinity {}", stage, number_list::shown(cpus)); },
      [&] {
        asked_by(
            [&] { return field; },
            [&] {
              try {
                sys::set_affinity(pid, cpus);
              } catch (Error& error) {
                if (error.errno_value() == EINVAL) {
                  error.set_hint("at least one CPU of the list must be online and in the cpuset");
                }
                throw;
              }
            });
      });
}

}  // namespace

Plan read(const spec::Reader& process) {
  const std::optional<spec::Reader> field = process.find("execCPUAffinity");
  if (!field) return {};
  return {.initial = read_list(*field, "initial"), .final = read_list(*field, "final")};
}

void apply_before_birth(const Plan& plan) {
  set(plan.initial, 0, "/process/execCPUAffinity/initial", "initial");
}

void apply_after_birth(const Plan& plan, pid_t pid) {
  if (plan.is_default()) return reset_in_parent(pid);
  set(plan.final, pid, "/process/execCPUAffinity/final", "final");
}

void reset_in_parent(pid_t pid) {
  try {
    // One call of 1 µs, while the process itself is busy. Asking first whether its mask is narrower
    // than it need be would cost more: the mask alone does not say, as nothing tells for less than
    // three calls how many CPUs there are.
    sys::set_affinity_to_all(pid);
  } catch (const Error&) {
    // A security module or a filter around this runtime may forbid it. Nobody asked for it, so the
    // container runs on its caller's CPUs then; runc goes on too. A process that is gone is told of
    // elsewhere.
    return;
  }
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.initial.empty()) {
    out.add("cpu_affinity",
            fmt::format("exec runs on CPUs {} until the process is in the cgroup",
                        number_list::shown(plan.initial)),
            "/process/execCPUAffinity/initial");
  }
  if (!plan.final.empty()) {
    out.add("cpu_affinity",
            fmt::format("processes of exec run on CPUs {}", number_list::shown(plan.final)),
            "/process/execCPUAffinity/final");
  }
}

}  // namespace tare::cpu_affinity
