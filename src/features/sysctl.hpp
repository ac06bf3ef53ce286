/// linux.sysctl (config-linux.md, "Sysctl"): kernel parameters of the container's own namespaces,
/// and no others. Written in init through a procfs of our own making, which nothing in the
/// container can shape (CVE-2025-52881).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "features/explain.hpp"
#include "features/namespaces.hpp"
#include "spec/reader.hpp"

namespace tare::sysctl {

/// One parameter as written: "net.ipv4.ip_forward" or "net/ipv4/ip_forward", and "1".
struct Entry {
  std::string name{};
  std::string value{};
  std::string pointer{};  ///< "/linux/sysctl/net.ipv4.ip_forward"
};

struct Spec {
  std::vector<Entry> entries{};
};

/// One file below /proc/sys and what is written to it.
struct Setting {
  std::string path{};  ///< "net/ipv4/ip_forward"
  std::string value{};
  std::string pointer{};
  bool operator==(const Setting&) const = default;
};

struct Plan {
  std::vector<Setting> settings{};
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `linux`.
Spec read(const spec::Reader& linux_object);
/// Throws Error(spec): `sysctl "x" is not in a separate kernel namespace`, names with anything but
/// [A-Za-z0-9_-] between separators, kernel.hostname beside `hostname`.
Plan plan(const Spec& spec, const namespaces::Plan& namespaces, bool hostname_given);
/// Refuses settings whose namespace is joined by a path that turns out to be the runtime's own:
/// they would be the host's. Throws Error(spec).
void check_in_parent(const Plan& plan, const std::vector<namespaces::Target>& joined);
/// Writes them, each below the root of a procfs and across no mount: `procfs` is what was mounted
/// at the container's /proc, if anything was. Throws Error(system) naming the field.
void apply_in_init(const Plan& plan, std::optional<sys::FdRef> procfs);
void explain(const Plan& plan, Explain& out);

}  // namespace tare::sysctl
