/// linux.devices and the default devices: nodes below /dev, and the links that every /dev has
/// (config-linux.md, "Devices" and "Default Devices"; runtime-linux.md, "Dev symbolic links"). Made
/// in init relative to a descriptor of the directory, never through a path (CVE-2026-41579); in a
/// user namespace, where mknod is forbidden, the host's nodes are bound instead.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "features/explain.hpp"
#include "features/mounts.hpp"
#include "features/namespaces.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"
#include "sys/path.hpp"

namespace tare::devices {

struct Device {
  std::string path{};  ///< within the container, cleaned
  char type = 'c';     ///< c, b or p; u is c
  unsigned major = 0;
  unsigned minor = 0;
  unsigned mode = 0666;  ///< permission bits
  uid_t uid = 0;
  gid_t gid = 0;
  std::string pointer{};  ///< empty for a default device
  bool operator==(const Device&) const = default;
};

struct Spec {
  std::vector<Device> devices{};
};

struct Plan {
  std::vector<Device> devices{};  ///< defaults first, without the ones that the config replaces
  bool bind = false;              ///< bind the host's nodes instead of making them
  bool links = true;              ///< make /dev/fd, /dev/ptmx and the like
  bool operator==(const Plan&) const = default;
};

/// Reads `devices` of the object `linux`. Throws Error(spec).
Spec read(const spec::Reader& linux_object);
/// Everything below /dev is left out where the host's /dev is bound there.
Plan plan(const Spec& spec, const namespaces::Plan& namespaces, const mounts::Plan& mounts,
          const Host& host);
/// Clones the host's nodes where they are to be bound; one per device, empty otherwise. Throws
/// Error(system), and Error(spec) where the host's node is another device.
std::vector<sys::Fd> open_sources(const Plan& plan);
/// Makes nodes and links. An existing node must be what was asked for, or it is an Error (the
/// specification demands it). With `own_dev` false nothing was mounted on /dev: links are left
/// alone where something of their name exists.
void apply_in_init(const Plan& plan, const sys::Root& root, std::vector<sys::Fd> sources,
                   bool own_dev);
/// One line for each node, and one for the links.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::devices
