/// mounts: what is mounted where, in the order given (config.md, "Mounts"). Bind sources are cloned by
/// the parent before init exists, so init needs no path of the host; filesystems are made in init,
/// which is in the namespaces that they show. Every target is resolved within the root by descriptor.
#pragma once

#include <string>
#include <vector>

#include "features/explain.hpp"
#include "features/id_map.hpp"
#include "features/mount_options.hpp"
#include "features/namespaces.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"
#include "sys/path.hpp"

namespace tare::mounts {

struct Entry {
  std::string destination{};
  std::string type{};
  std::string source{};
  mount_options::Options options{};
  std::string pointer{};  ///< "/mounts/3"
  bool operator==(const Entry&) const = default;
};

struct Spec {
  std::vector<Entry> entries{};
};

enum class Kind { bind, filesystem, cgroup };

struct Mount {
  Kind kind = Kind::filesystem;
  std::string destination{};  ///< cleaned, absolute within the root
  std::string source{};       ///< absolute on the host for a bind; the device name otherwise
  std::string type{};         ///< filesystem type; empty for a bind
  mount_options::Options options{};
  std::string pointer{};
  bool operator==(const Mount&) const = default;
};

struct Plan {
  std::vector<Mount> mounts{};
  /// The container's own cgroup on the host, bound where a cgroup mount cannot be made for want of a
  /// cgroup namespace.
  std::string cgroup_directory{};
  bool operator==(const Plan&) const = default;
};

/// What mounts need to know of other features' decisions.
struct Context {
  const namespaces::Plan& namespaces;
  std::string bundle;            ///< absolute; relative bind sources start here
  std::string cgroup_directory;  ///< absolute path of the container's cgroup on the host
};

/// Reads `mounts` from the top of config.json. Throws Error(spec).
Spec read(const spec::Reader& top);
/// Throws Error(spec or unsupported): binds over /proc that are not on the list of harmless files, …
Plan plan(const Spec& spec, const Context& context, const Host& host);

/// What the parent has opened: one entry per planned mount, empty where init makes the mount.
using Sources = std::vector<sys::Fd>;

/// Clones the bind sources, with attributes and propagation set. Throws Error(system) naming the field.
Sources open_in_parent(const Plan& plan);

/// What later steps need of what was mounted.
struct Made {
  sys::Fd devpts{};  ///< the root of the devpts that was mounted at /dev/pts, if one was
  bool dev = false;  ///< something is mounted on /dev
};

/// Makes or takes every mount, in order, and attaches it. Throws Error(system) "error mounting
/// \"SOURCE\" to rootfs at \"DESTINATION\": ...", as runc words it.
Made apply_in_init(const Plan& plan, const sys::Root& root, Sources sources);

void explain(const Plan& plan, Explain& out);

}  // namespace tare::mounts
