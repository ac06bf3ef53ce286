#include "features/net_devices.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "sys/file.hpp"
#include "sys/namespace.hpp"

namespace tare::net_devices {
namespace {

constexpr std::string_view kField = "/linux/netDevices";

// runc's words for settings of the network that would be the host's.
constexpr const char* kNoNamespace =
    "unable to move network devices without a private NET namespace";

// As dev_valid_name() in the kernel's net/core/dev.c, and no control characters: a name is printed.
bool is_valid(std::string_view name) noexcept {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") return false;
  return std::ranges::all_of(
      name, [](char c) { return c != '/' && c != ':' && static_cast<unsigned char>(c) > ' '; });
}

// The kernel takes one number, and that a plain one.
bool is_template(std::string_view name) noexcept {
  return name.find('%') != std::string_view::npos;
}

bool is_valid_template(std::string_view name) noexcept {
  const std::size_t at = name.find('%');
  return name.substr(at).starts_with("%d") && name.find('%', at + 1) == std::string_view::npos;
}

void check_name(const std::string& name, const spec::Reader& where) {
  if (!is_valid(name)) {
    throw where.error(fmt::format("invalid network device name \"{}\"", name));
  }
}

Device read_device(const std::string& name, const spec::Reader& value) {
  check_name(name, value);
  Device device{.name = name, .new_name = name, .pointer = value.pointer()};
  const std::optional<spec::Reader> field = value.find("name");
  if (!field) return device;
  const std::string new_name = field->string();
  // As with runc, an empty name is none.
  if (new_name.empty()) return device;
  check_name(new_name, *field);
  if (is_template(new_name) && !is_valid_template(new_name)) {
    throw field->error(fmt::format("invalid network device name \"{}\"", new_name));
  }
  device.new_name = new_name;
  return device;
}

// The error that began a restoration is the one to tell of, and what comes after this wants to be
// restored too.
template <typename Step>
void as_far_as_possible(Step step) noexcept {
  try {
    step();
  } catch (const Error&) {
    return;
  }
}

Error field_error(std::string text, const std::string& pointer, std::string hint = {}) {
  Error error(ErrorKind::spec, std::move(text), std::move(hint));
  error.set_field(pointer);
  return error;
}

}  // namespace

Spec read(const spec::Reader& linux_object) {
  Spec spec;
  const std::optional<spec::Reader> member = linux_object.find("netDevices");
  if (!member) return spec;
  for (const auto& [name, value] : member->members()) {
    spec.devices.push_back(read_device(name, value));
  }
  return spec;
}

Plan plan(const Spec& spec, const namespaces::Plan& namespaces, const Host& host) {
  if (spec.devices.empty()) return {};
  if (!namespaces.has(namespaces::Type::network)) {
    throw field_error(kNoNamespace, std::string(kField),
                      "add {\"type\": \"network\"} to linux.namespaces");
  }
  if (host.rootless) {
    throw field_error("network devices are not supported for rootless containers",
                      std::string(kField));
  }
  Plan plan;
  for (const Device& device : spec.devices) {
    const bool taken = std::ranges::any_of(plan.devices, [&](const Device& other) {
      return other.new_name == device.new_name && !is_template(device.new_name);
    });
    if (taken) {
      throw field_error(
          fmt::format("config.json {}: another device is to be \"{}\" in the container too",
                      device.pointer, device.new_name),
          device.pointer);
    }
    plan.devices.push_back(device);
  }
  return plan;
}

Moved::Moved(pid_t pid)
    : pid_(pid),
      home_(sys::open_at(sys::FdRef::cwd(), "/proc/self/ns/net", O_RDONLY)),
      away_(sys::open_at(sys::FdRef::cwd(), fmt::format("/proc/{}/ns/net", pid), O_RDONLY)),
      to_(sys::RouteSocket::in(away_)) {
  if (sys::is_own_namespace(away_, "net")) throw field_error(kNoNamespace, std::string(kField));
}

// In two steps: the kernel moves first and renames then, so that one request for both, refused for
// the name, would leave the device over there under its old one. A name that nobody has cannot be
// refused.
void Moved::move(const Device& device) {
  const std::optional<sys::Link> link = from_.find(device.name);
  if (!link) {
    throw Error(
        ErrorKind::system,
        fmt::format("no device \"{}\" in the network namespace of the runtime", device.name));
  }
  // First of all: an IPv6 device that goes down loses its addresses.
  Origin origin{.name = device.name, .up = link->up, .addresses = from_.addresses(link->index)};
  const std::string passing = fmt::format("t{}.{}", pid_, origins_.size());
  from_.move(link->index, away_, passing);
  const std::optional<sys::Link> arrived = to_.find(passing);
  if (!arrived) throw Error(ErrorKind::system, "the device has gone astray between two namespaces");
  origin.index = arrived->index;
  origins_.push_back(std::move(origin));

  const Origin& moved = origins_.back();
  to_.rename(moved.index, device.new_name);
  for (const sys::Address& address : moved.addresses) {
    if (address.is_permanent() && address.is_global()) to_.add(moved.index, address, false);
  }
  to_.set_up(moved.index, true);
}

void Moved::restore_one(const Origin& origin) {
  to_.move(origin.index, home_, origin.name);
  const std::optional<sys::Link> link = from_.find(origin.name);
  if (!link) return;
  for (const sys::Address& address : origin.addresses) {
    as_far_as_possible([&] { from_.add(link->index, address, true); });
  }
  if (origin.up) from_.set_up(link->index, true);
}

void Moved::restore() noexcept {
  for (; !origins_.empty(); origins_.pop_back()) {
    as_far_as_possible([&] { restore_one(origins_.back()); });
  }
}

Moved apply_in_parent(const Plan& plan, pid_t pid) {
  Moved moved = asked_by([] { return std::string(kField); }, [&] { return Moved(pid); });
  for (const Device& device : plan.devices) {
    try {
      moved.move(device);
    } catch (Error& error) {
      moved.restore();
      error.set_field(device.pointer);
      error.add_context(fmt::format("move the network device {} into the container as {}",
                                    device.name, device.new_name));
      if (error.errno_value() == EEXIST) {
        error.set_hint("the container's network namespace has a device of that name");
      }
      throw;
    }
  }
  return moved;
}

void explain(const Plan& plan, Explain& out) {
  for (const Device& device : plan.devices) {
    out.add(
        "net_devices",
        fmt::format("move the network device {} into the container's network namespace{}, with "
                    "its permanent global addresses, and set it up",
                    device.name, device.name == device.new_name ? "" : " as " + device.new_name),
        device.pointer);
  }
}

}  // namespace tare::net_devices
