// `update`: new limits for a container that is not stopped. Everything is read and planned before
// anything is written, and what was written is undone when something later is refused.
#include <fcntl.h>
#include <fmt/core.h>

#include <charconv>

#include "features/cgroup_devices.hpp"
#include "features/cgroup_systemd.hpp"
#include "features/cgroup_update.hpp"
#include "features/intel_rdt.hpp"
#include "stages/lifecycle.hpp"
#include "stages/undo.hpp"
#include "state/store.hpp"
#include "sys/cgroup_file.hpp"
#include "sys/file.hpp"
#include "tare/runtime.hpp"

namespace tare {
namespace stages {
namespace {

struct UpdateSpec {
  cgroup_resources::Spec resources{};
  cgroup_devices::Spec devices{};
  bool empty() const noexcept { return resources.writes.empty() && devices.rules.empty(); }
};

// What exists of a container's limits as far as new ones are given only in part.
cgroup_resources::Base base_of(const Record& record) {
  cgroup_resources::Base base;
  base.memory = {record.memory_limit_bytes, record.memory_swap_bytes};
  if (record.cgroup_directory.empty()) return base;
  const std::string text =
      sys::read_value(sys::FdRef::cwd(), record.cgroup_directory + "/cpu.max").value_or("");
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) return base;
  base.cpu_quota = text.substr(0, space);
  std::from_chars(text.data() + space + 1, text.data() + text.size(), base.cpu_period_us);
  return base;
}

// At create they are left alone, as the same config must do on every host. Here somebody waits for
// an effect.
void refuse_what_has_no_effect(const std::vector<cgroup_resources::Ignored>& ignored) {
  for (const cgroup_resources::Ignored& field : ignored) {
    if (field.obsolete) continue;
    Error error(ErrorKind::unsupported,
                fmt::format("{} cannot be changed: {}", field.pointer, field.why));
    error.set_field(field.pointer);
    throw error;
  }
}

UpdateSpec read_update(const UpdateRequest& request, const Record& record) {
  const spec::Document document(request.source, request.resources);
  const spec::Reader resources = document.top();
  // An update has no version of its own, and who asks for one says -1 where no limit is meant
  // (Docker turns its own 0 into that): so 0 is a limit whatever the container's config is, as with
  // runc.
  UpdateSpec spec{.resources = cgroup_resources::read_resources(
                      resources, cgroup_resources::ZeroPids::limit, base_of(record)),
                  .devices = cgroup_devices::read_resources(resources)};
  refuse_what_has_no_effect(spec.resources.ignored);
  return spec;
}

cgroup::Plan cgroup_of(const Record& record, const Host& host) {
  if (record.cgroup_directory.empty()) return {};
  const std::string& mount_point = host.cgroup.mount_point;
  if (mount_point.empty() || !record.cgroup_directory.starts_with(mount_point + "/")) {
    throw Error(ErrorKind::state,
                fmt::format("the container's cgroup {} is not in the cgroup v2 tree at \"{}\"",
                            record.cgroup_directory, mount_point));
  }
  return {.mount_point = mount_point, .path = record.cgroup_directory.substr(mount_point.size())};
}

// The scope's properties are changed after the kernel's files: what a limit below use needs is done
// there, and systemd then finds nothing left to change. What it has done is undone by `undo`.
void tell_systemd(const Record& record, const cgroup_resources::Plan& plan,
                  const cgroup_devices::Plan& devices,
                  const std::vector<cgroup_update::Step>& steps, Undo& undo) {
  if (record.scope.name.empty()) return;
  const systemd_unit::Unit unit{.name = record.scope.name, .user = record.scope.user};
  std::vector<cgroup_systemd::Property> properties = cgroup_systemd::properties_of(plan.writes);
  if (!devices.rules.empty() && !unit.user) {
    for (cgroup_systemd::Property& property : cgroup_systemd::properties_of(devices)) {
      properties.push_back(std::move(property));
    }
  }
  cgroup_systemd::set_properties(unit, properties);
  undo.add([unit, old = cgroup_update::old_writes(steps)] {
    cgroup_systemd::set_properties(unit, cgroup_systemd::properties_of(old));
  });
}

// systemd forgets the period of a quota that is none, and sets the kernel's default; the next quota
// alone would be one of that.
void keep_period(const cgroup_resources::Plan& plan, sys::FdRef directory) {
  for (const cgroup_resources::Write& write : plan.writes) {
    if (write.file != "cpu.max" || !write.value.starts_with("max ")) continue;
    sys::write_value(directory, write.file, write.value);
  }
}

// The one place that says how limits reach the kernel. What it has done is undone by `undo`.
void apply_limits(const UpdateSpec& spec, const Record& record, const Host& host, Undo& undo) {
  const cgroup::Plan cgroup = cgroup_of(record, host);
  cgroup_resources::Plan plan = cgroup_resources::plan(spec.resources, cgroup, host);
  if (!record.scope.name.empty()) plan.writes = cgroup_systemd::rounded(std::move(plan.writes));
  const cgroup_devices::Plan devices = cgroup_devices::plan(spec.devices, host);
  if (!cgroup.enabled()) {
    throw Error(ErrorKind::unsupported,
                "update needs a cgroup, and the container was made without one");
  }
  const sys::Fd directory =
      sys::open_at(sys::FdRef::cwd(), cgroup.directory(), O_RDONLY | O_DIRECTORY);
  cgroup_resources::check_usage(plan.checks, directory);
  const std::vector<cgroup_update::Step> steps = cgroup_update::prepare(plan, cgroup, directory);
  cgroup_update::apply(steps, cgroup, directory);
  undo.add([steps, path = cgroup.directory()] {
    const sys::Fd again = sys::open_at(sys::FdRef::cwd(), path, O_RDONLY | O_DIRECTORY);
    cgroup_update::revert(steps, again);
  });
  tell_systemd(record, plan, spec.devices.rules.empty() ? cgroup_devices::Plan{} : devices, steps,
               undo);
  if (!record.scope.name.empty()) keep_period(plan, directory);
  // Last of what may be refused: it needs no undoing then.
  if (!spec.devices.rules.empty()) cgroup_devices::replace_in_parent(devices, directory);
}

std::vector<intel_rdt::Line> schemata_of(const UpdateRequest& request) {
  std::vector<intel_rdt::Line> lines;
  for (const std::string& text : {request.l3_cache_schema, request.memory_bandwidth_schema}) {
    if (!text.empty()) lines.push_back({text, ""});
  }
  return lines;
}

void apply_schemata(const std::vector<intel_rdt::Line>& lines, const Record& record,
                    const Host& host, Undo& undo) {
  if (lines.empty()) return;
  const std::string& root = host.resctrl.mount_point;
  const std::string before = intel_rdt::replace_schemata(record.resctrl, lines, root);
  undo.add([before, group = record.resctrl, root] {
    intel_rdt::replace_schemata(group, {{before, ""}}, root);
  });
}

}  // namespace
}  // namespace stages

void update(const UpdateRequest& request) {
  const state::Store store(request.global);
  const state::ContainerDirectory directory = store.open(request.id, state::Lock::exclusive);
  Record record = stages::read_record(directory);
  if (stages::observe(directory, record) == Status::stopped) {
    throw Error(ErrorKind::state, "container not running");
  }
  const stages::UpdateSpec spec = stages::read_update(request, record);
  const std::vector<intel_rdt::Line> schemata = stages::schemata_of(request);
  const Host host = probe_host({.controllers = true, .resctrl = !schemata.empty()});
  intel_rdt::check_update(!request.l3_cache_schema.empty(),
                          !request.memory_bandwidth_schema.empty(), record.resctrl, host);
  stages::Undo undo;
  stages::apply_schemata(schemata, record, host, undo);
  if (!spec.empty()) stages::apply_limits(spec, record, host, undo);
  record.memory_limit_bytes = spec.resources.memory.limit_bytes;
  record.memory_swap_bytes = spec.resources.memory.swap_bytes;
  if (!spec.empty()) directory.write_record(record);
  undo.commit();
}

}  // namespace tare
