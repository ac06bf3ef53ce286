#include "stages/container_cgroup.hpp"

#include "features/cgroup.hpp"
#include "features/intel_rdt.hpp"

namespace tare::stages {
namespace {

// What is left of a killed container must be gone before its cgroup can be removed.
constexpr int kKillTimeoutMs = 10'000;

}  // namespace

sys::Fd make_cgroup(const Plan& plan, Undo& undo) {
  if (!plan.cgroup.enabled()) return sys::Fd();
  cgroup::Created created = cgroup::apply_in_parent(plan.cgroup);
  undo.add([&plan, made = created.made, own = plan.cgroup.directory()] {
    cgroup::kill_all(own);
    cgroup::await_empty(own, kKillTimeoutMs);
    cgroup_delegation::undo(plan.cgroup_delegation, own);
    cgroup::remove_made(made);
  });
  cgroup_delegation::prepare_in_parent(plan.cgroup_delegation, plan.cgroup);
  cgroup_resources::apply_in_parent(plan.cgroup_resources, plan.cgroup, created.directory);
  return std::move(created.directory);
}

void filter_devices(const Plan& plan, sys::FdRef directory) {
  if (directory.number() >= 0) cgroup_devices::apply_in_parent(plan.cgroup_devices, directory);
}

void make_resctrl_group(const Plan& plan, Record& record, Undo& undo) {
  if (!plan.intel_rdt.enabled()) return;
  const std::vector<std::string> groups = intel_rdt::apply_in_parent(plan.intel_rdt);
  undo.add([groups] { cgroup::remove_made(groups); });
  // What was there before is not the container's own.
  const ResctrlGroup& group = plan.intel_rdt.group;
  record.resctrl = group;
  record.resctrl.own = group.own && !groups.empty() && groups.front() == group.directory;
}

sys::Fd make_scope(const Plan& plan, Undo& undo, pid_t pid) {
  cgroup_systemd::apply_in_parent(plan.cgroup_systemd, pid);
  undo.add([&plan] {
    cgroup::kill_all(plan.cgroup.directory());
    cgroup::await_empty(plan.cgroup.directory(), kKillTimeoutMs);
    cgroup_delegation::undo(plan.cgroup_delegation, plan.cgroup.directory());
    cgroup_systemd::stop(plan.cgroup_systemd.unit);
  });
  sys::Fd directory = cgroup::open_in_parent(plan.cgroup);
  cgroup_resources::apply_in_parent(plan.cgroup_resources, plan.cgroup, directory);
  return directory;
}

}  // namespace tare::stages
