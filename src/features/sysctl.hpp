/// linux.sysctl (config-linux.md, "Sysctl"): kernel parameters of the container's own namespaces, and no
/// others. Written in init through a procfs of our own making, which nothing in the container can shape
/// (CVE-2025-52881).
#pragma once

#include <map>
#include <string>

#include "features/explain.hpp"
#include "features/namespaces.hpp"
#include "spec/reader.hpp"

namespace tare::sysctl {

struct Spec {
  std::map<std::string, std::string> values{};  ///< "net.ipv4.ip_forward" to "1"
};

struct Plan {
  std::map<std::string, std::string> values{};  ///< "net/ipv4/ip_forward" to "1"
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `linux`.
Spec read(const spec::Reader& linux_object);
/// Throws Error(spec): `sysctl "x" is not in a separate kernel namespace`, names with anything but
/// [A-Za-z0-9_-] between separators, kernel.hostname beside `hostname`.
Plan plan(const Spec& spec, const namespaces::Plan& namespaces, bool hostname_given);
void apply_in_init(const Plan& plan);
void explain(const Plan& plan, Explain& out);

}  // namespace tare::sysctl
