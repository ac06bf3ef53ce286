#include "features/cgroup_systemd.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "sys/bus.hpp"
#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::cgroup_systemd {
namespace {

using sys::Bus;
using sys::BusReply;
using sys::BusValue;
using systemd_unit::Unit;

// systemd answers in milliseconds; a machine that is starting hundreds of units can take seconds.
// runc waits as long.
constexpr int kTimeoutMs = 30'000;

constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr std::string_view kUnitExists = "org.freedesktop.systemd1.UnitExists";
constexpr std::string_view kNoSuchUnit = "org.freedesktop.systemd1.NoSuchUnit";
constexpr char kJobRule[] =
    "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

std::string variable(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// By the bus, not by systemd's own socket in /run/systemd/private: that is an interface for its own
// programs, and its server overlooks a call that arrives in one read with the end of the
// authentication, as libdbus sends it (seen with systemd 262).
Bus connect(const Unit& unit) {
  if (!unit.user) {
    return in_context(
        [] { return std::string("systemd"); },
        [] {
          return Bus(variable("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/dbus/system_bus_socket"),
                     kTimeoutMs);
        });
  }
  const std::string runtime = variable("XDG_RUNTIME_DIR", "");
  const std::string given = variable("DBUS_SESSION_BUS_ADDRESS", "");
  if (runtime.empty() && given.empty()) {
    throw Error(ErrorKind::system,
                "no way to the user's systemd: neither XDG_RUNTIME_DIR nor "
                "DBUS_SESSION_BUS_ADDRESS is set",
                "log in as the user, or use the cgroupfs driver");
  }
  return in_context(
      [] { return std::string("the user's systemd"); },
      [&] { return Bus(given.empty() ? "unix:path=" + runtime + "/bus" : given, kTimeoutMs); });
}

class Manager {
 public:
  explicit Manager(const Unit& unit) : unit_(unit), bus_(connect(unit)) {}

  BusReply call(std::string_view method, const std::vector<BusValue>& arguments) {
    return bus_.call(method_of(method), arguments, kTimeoutMs);
  }

  void subscribe() { bus_.subscribe(kJobRule, kTimeoutMs); }

  // The result of the job that a reply names: "done" where it has succeeded.
  std::string await_job(const BusReply& started) {
    const std::string job = started.values.empty() ? "" : started.values.front().text();
    // JobRemoved(u id, o job, s unit, s result)
    constexpr std::size_t kSize = 4;
    const auto is_ours = [&job](const std::vector<BusValue>& signal) {
      return signal.size() == kSize && signal[1].text() == job;
    };
    const std::vector<BusValue> signal =
        bus_.await_signal(kManager, "JobRemoved", is_ours, kTimeoutMs);
    if (!signal.empty()) return signal[kSize - 1].text();
    throw Error(ErrorKind::system, fmt::format("systemd has not finished with {} in {} s",
                                               unit_.name, kTimeoutMs / 1000));
  }

  // Nobody waits for the answer: one that has not failed is an error that means nothing.
  void reset_failed() { bus_.post(method_of("ResetFailedUnit"), {BusValue::string(unit_.name)}); }

  void abandon() {
    bus_.post(method_of("StopUnit"), {BusValue::string(unit_.name), BusValue::string("replace")});
    reset_failed();
  }

 private:
  static sys::BusMethod method_of(std::string_view name) {
    return {.destination = "org.freedesktop.systemd1",
            .path = "/org/freedesktop/systemd1",
            .interface = kManager,
            .name = name};
  }

  const Unit& unit_;
  Bus bus_;
};

BusValue to_bus(const std::vector<Property>& properties) {
  std::vector<BusValue> items;
  for (const Property& property : properties) {
    items.push_back(
        BusValue::structure({BusValue::string(property.name), BusValue::variant(property.value)}));
  }
  return BusValue::array("(sv)", std::move(items));
}

Error refused(const Unit& unit, std::string_view what, const BusReply& reply) {
  return Error(ErrorKind::system,
               fmt::format("unable to {} unit \"{}\": {}", what, unit.name, reply.error_text));
}

// In the words of cgroupfs, which callers know.
Error occupied(const Unit& unit) {
  return Error(ErrorKind::state,
               fmt::format("container's cgroup is not empty: unit \"{}\" exists", unit.name));
}

// Drops a property that this systemd does not know, or not with this value, where the kernel gets
// it through cgroupfs as well: cheaper than asking for systemd's version each time.
bool drop_unknown(std::vector<Property>& properties, const BusReply& reply) {
  return std::erase_if(properties, [&](const Property& property) {
           return property.optional && reply.error_text.find(property.name) != std::string::npos;
         }) != 0;
}

template <typename Attempt>
BusReply attempt_without_unknown(std::vector<Property> properties, Attempt attempt) {
  for (;;) {
    BusReply reply = attempt(properties);
    if (!reply.failed() || !drop_unknown(properties, reply)) return reply;
  }
}

BusReply start(Manager& manager, const Plan& plan, pid_t pid) {
  std::vector<Property> properties = plan.properties;
  properties.push_back(
      {.name = "PIDs",
       .value = BusValue::array("u", {BusValue::uint32(static_cast<std::uint32_t>(pid))})});
  bool cleared = false;
  return attempt_without_unknown(std::move(properties), [&](const std::vector<Property>& asked) {
    const std::vector<BusValue> arguments = {BusValue::string(plan.unit.name),
                                             BusValue::string("replace"), to_bus(asked),
                                             BusValue::array("(sa(sv))", {})};
    BusReply reply = manager.call("StartTransientUnit", arguments);
    if (reply.error_name != kUnitExists || cleared) return reply;
    // One of that name which has failed stays until it is told to go.
    cleared = true;
    manager.call("ResetFailedUnit", {BusValue::string(plan.unit.name)});
    return manager.call("StartTransientUnit", arguments);
  });
}

void check_place(const Plan& plan, pid_t pid) {
  const std::string where =
      own_cgroup_of(sys::read_file(sys::FdRef::cwd(), fmt::format("/proc/{}/cgroup", pid)));
  if (where == plan.path) return;
  throw Error(ErrorKind::system, fmt::format("systemd has put {} into {}, and {} was expected",
                                             plan.unit.name, where, plan.path));
}

void await_scope(Manager& manager, const Plan& plan, pid_t pid, const BusReply& started) {
  const std::string result = manager.await_job(started);
  if (result != "done") {
    throw Error(ErrorKind::system, fmt::format("error creating systemd unit \"{}\": got \"{}\"",
                                               plan.unit.name, result));
  }
  check_place(plan, pid);
}

}  // namespace

Plan plan(const systemd_unit::Unit& unit, const std::string& path, const Context& context) {
  if (unit.name.empty()) return {};
  Plan plan{.unit = unit, .path = path};
  const auto add = [&plan](std::string_view name, BusValue value) {
    plan.properties.push_back({.name = std::string(name), .value = std::move(value)});
  };
  add("Description", BusValue::string("tare container " + context.id));
  add("Slice", BusValue::string(unit.slice));
  add("Delegate", BusValue::boolean(true));
  // A later limit then finds its controller on, as below cgroupfs; and what is accounted late has
  // lost what was there before.
  for (const std::string_view kind : {"Memory", "CPU", "IO", "Tasks"}) {
    add(std::string(kind) + "Accounting", BusValue::boolean(true));
  }
  add("DefaultDependencies", BusValue::boolean(false));
  const auto append = [&plan](const std::vector<Property>& more) {
    plan.properties.insert(plan.properties.end(), more.begin(), more.end());
  };
  // A user's manager cannot filter devices, and refuses to be asked to.
  if (!unit.user) append(properties_of(context.devices));
  append(properties_of(context.resources.writes));
  // Last: of two values for one property systemd takes the later one.
  append(systemd_property::read(context.annotations));
  return plan;
}

void apply_in_parent(const Plan& plan, pid_t pid) {
  in_context([] { return std::string("unable to apply cgroup configuration"); },
             [&] {
               Manager manager(plan.unit);
               manager.subscribe();
               const BusReply reply = start(manager, plan, pid);
               if (reply.error_name == kUnitExists) throw occupied(plan.unit);
               if (reply.failed()) throw refused(plan.unit, "start", reply);
               try {
                 await_scope(manager, plan, pid, reply);
               } catch (const Error&) {
                 // There may be a scope of ours by now, and nobody else who would clear it.
                 manager.abandon();
                 throw;
               }
             });
}

void set_properties(const Unit& unit, const std::vector<Property>& properties) {
  if (properties.empty()) return;
  Manager manager(unit);
  const BusReply reply =
      attempt_without_unknown(properties, [&](const std::vector<Property>& asked) {
        return manager.call("SetUnitProperties",
                            {BusValue::string(unit.name), BusValue::boolean(true), to_bus(asked)});
      });
  if (reply.failed()) throw refused(unit, "set properties of", reply);
}

void attach(const Unit& unit, const std::string& inner, pid_t pid) {
  Manager manager(unit);
  const BusReply reply =
      manager.call("AttachProcessesToUnit",
                   {BusValue::string(unit.name), BusValue::string(inner.empty() ? "/" : inner),
                    BusValue::array("u", {BusValue::uint32(static_cast<std::uint32_t>(pid))})});
  if (reply.failed()) throw refused(unit, "move a process into", reply);
}

void stop(const Unit& unit) {
  Manager manager(unit);
  manager.subscribe();
  // One that has failed already is forgotten by the time that the answer to the next call is here.
  manager.reset_failed();
  const BusReply reply =
      manager.call("StopUnit", {BusValue::string(unit.name), BusValue::string("replace")});
  // A scope without processes ends by itself, often before we can ask.
  if (!reply.failed()) {
    manager.await_job(reply);
  } else if (reply.error_name != kNoSuchUnit) {
    throw refused(unit, "stop", reply);
  }
  manager.reset_failed();
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.enabled()) return;
  out.add("cgroup_systemd",
          fmt::format("have {} make the scope {} in {}",
                      plan.unit.user ? "the user's systemd" : "systemd", plan.unit.name,
                      plan.unit.slice),
          "/linux/cgroupsPath");
  std::string names;
  for (const Property& property : plan.properties) {
    names += (names.empty() ? "" : ", ") + property.name;
  }
  out.add("cgroup_systemd", "with the properties " + names);
}

}  // namespace tare::cgroup_systemd
