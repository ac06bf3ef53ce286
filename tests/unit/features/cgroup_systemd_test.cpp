#include "features/cgroup_systemd.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "tare/error.hpp"

namespace tare::cgroup_systemd {
namespace {

using sys::BusValue;

constexpr cgroup_devices::Rule kDenyAll{.type = 'a', .read = true, .write = true, .mknod = true};

std::vector<std::string> names_of(const Plan& plan) {
  std::vector<std::string> names;
  for (const Property& property : plan.properties) names.push_back(property.name);
  return names;
}

TEST_CASE("a scope is planned with its slice, delegation, accounting, limits and annotations",
          "[cgroup_systemd]") {
  const std::string id = "web";
  const std::map<std::string, std::string> annotations = {
      {"org.systemd.property.CollectMode", "'inactive'"}};
  const cgroup_resources::Plan resources{.writes = {{.file = "pids.max", .value = "9"}}};
  const cgroup_devices::Plan devices{{kDenyAll}};
  const Context context{
      .id = id, .annotations = annotations, .resources = resources, .devices = devices};
  systemd_unit::Unit unit{.name = "tare-web.scope", .slice = "a.slice"};
  const Plan system = plan(unit, "/a.slice/tare-web.scope", context);
  CHECK(names_of(system) == std::vector<std::string>{"Description", "Slice", "Delegate",
                                                     "MemoryAccounting", "CPUAccounting",
                                                     "IOAccounting", "TasksAccounting",
                                                     "DefaultDependencies", "DeviceAllow",
                                                     "DevicePolicy", "TasksMax", "CollectMode"});
  CHECK(system.properties[1].value == BusValue::string("a.slice"));
  unit.user = true;
  const std::vector<std::string> names = names_of(plan(unit, "/x", context));
  CHECK(std::ranges::find(names, "DevicePolicy") == names.end());
  CHECK_FALSE(plan({}, "", context).enabled());
}

TEST_CASE("a scope is explained with its properties", "[cgroup_systemd]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.unit = {.name = "a.scope", .slice = "b.slice"},
           .path = "/b.slice/a.scope",
           .properties = {{.name = "Delegate", .value = BusValue::boolean(true)},
                          {.name = "TasksMax", .value = BusValue::uint64(1)}}},
          out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text == "have systemd make the scope a.scope in b.slice");
  CHECK(out.effects()[0].field == "/linux/cgroupsPath");
  CHECK(out.effects()[1].text == "with the properties Delegate, TasksMax");
}

}  // namespace
}  // namespace tare::cgroup_systemd
