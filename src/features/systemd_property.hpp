/// Annotations org.systemd.property.NAME: further properties of the container's scope, each value
/// in the text format of GVariant, as runc and crun read them. Decided with the systemd driver
/// (cgroup_systemd), which sends them; without that driver they mean nothing.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sys/bus_value.hpp"

namespace tare::systemd_property {

/// One property of a unit.
struct Property {
  std::string name{};  ///< "CPUWeight"
  sys::BusValue value{};
  /// What it asks for holds without systemd as well, so one that an old systemd does not know is
  /// left out.
  bool optional = false;
  bool operator==(const Property&) const = default;
};

/// The value that a text in GVariant's text format stands for: "uint64 5", "'text'", "[1, 2]",
/// "@as []". Throws Error(spec).
sys::BusValue parse_value(std::string_view text);

/// The properties of the annotations, sorted by name; "FooSec" becomes "FooUSec", in microseconds.
/// Throws Error(spec) naming the annotation.
std::vector<Property> read(const std::map<std::string, std::string>& annotations);

}  // namespace tare::systemd_property
