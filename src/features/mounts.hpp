/// mounts: what is mounted where, in the order given (config.md, "Mounts"). Bind sources are cloned
/// by the parent before init exists, so init needs no path of the host; filesystems are made in
/// init, which is in the namespaces that they show. Every target is resolved within the root by
/// descriptor.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "features/explain.hpp"
#include "features/id_map.hpp"
#include "features/id_mapped_mounts.hpp"
#include "features/mount_options.hpp"
#include "features/namespaces.hpp"
#include "features/rootfs.hpp"
#include "features/selinux.hpp"
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

enum class Kind {
  bind,        ///< of something on the host, cloned by the parent
  inner_bind,  ///< of something that earlier mounts put into the container, cloned by init
  filesystem,  ///< a new mount of a filesystem, made by init
  remount,     ///< other options for what is mounted at the destination already
};

struct Mount {
  Kind kind = Kind::filesystem;
  std::string destination{};  ///< cleaned, absolute within the root
  /// Absolute, on the host for a bind and within the root for an inner bind; the device name
  /// otherwise.
  std::string source{};
  std::string type{};  ///< filesystem type; empty for a bind
  mount_options::Options options{};
  std::optional<id_mapped_mounts::Use> id_map{};
  /// Read-only when everything is in place: set-up has to write into it first.
  bool late_readonly = false;
  std::string reason{};  ///< why it is not what the config literally says, or empty
  /// The SELinux label that its root gets once it is mounted, where it takes none as an option.
  std::string label{};
  std::string pointer{};
  bool operator==(const Mount&) const = default;
};

struct Plan {
  std::vector<Mount> mounts{};
  std::vector<id_mapped_mounts::Map> id_maps{};  ///< what the mounts' id_map counts in
  bool operator==(const Plan&) const = default;
};

/// What mounts need to know of other features' decisions.
struct Context {
  const namespaces::Plan& namespaces;
  std::string bundle{};  ///< absolute; relative bind sources start here
  std::string
      cgroup_directory{};  ///< absolute path of the container's cgroup on the host, or empty
  selinux::MountPlan label{};
  const rootfs::Plan& rootfs;
  const id_map::Plan& id_map;  ///< of the container
};

/// Reads `mounts` from the top of config.json. Throws Error(spec).
Spec read(const spec::Reader& top);
/// Reads a list of mounts that is a document of its own. Throws Error(spec).
Spec read_list(const spec::Reader& list);
/// Throws Error(spec or unsupported): binds over /proc that are not on the list of harmless files,
/// …
Plan plan(const Spec& spec, const Context& context, const Host& host);

/// What the parent has opened: one entry per planned mount, empty where init makes the mount.
using Sources = std::vector<sys::Fd>;

/// Clones the bind sources, with attributes and propagation set. Throws Error(system) naming the
/// field.
Sources open_sources(const Plan& plan);

/// A procfs or sysfs of the container, held by itself: who owns the directory that it is mounted on
/// can rename that at any time (CVE-2019-19921 and its kin), and what is hidden in it by way of its
/// name would then be hidden somewhere else.
struct KernelTree {
  std::string destination{};
  sys::Root root;
};

/// What later steps need of what was mounted.
struct Made {
  sys::Fd devpts{};  ///< the root of the devpts that was mounted at /dev/pts, if one was
  bool dev = false;  ///< something is mounted on /dev
  std::vector<sys::Fd> late_readonly{};    ///< mounts that finish_in_init makes read-only
  std::vector<KernelTree> kernel_trees{};  ///< those that no later mount has covered
};

/// The root of what was mounted at the container's /proc, as it was then.
std::optional<sys::FdRef> find_proc(const Made& made) noexcept;

/// Maps the ids of a detached mount that init has cloned from the container's own tree. The right
/// to do so is over the filesystem, and the parent's.
using MapIds = std::function<void(const Mount& mount, sys::FdRef tree)>;

/// Makes or takes every mount, in order, and attaches it. Throws Error(system) "error mounting
/// \"SOURCE\" to rootfs at \"DESTINATION\": ...", as runc words it.
Made apply_in_init(const Plan& plan, const sys::Root& root, Sources sources,
                   const MapIds& map_ids = nullptr);

/// Makes or takes one mount and attaches it. Gives the mount, or nothing for a remount. Throws as
/// apply_in_init does.
sys::Fd apply_one(const Mount& mount, const sys::Root& root, sys::Fd source,
                  const MapIds& map_ids = nullptr);

/// Makes read-only what had to be writable until devices, the console and hooks were done.
/// Throws Error(system).
void finish_in_init(const Made& made);

/// One line for each mount, in order, with the reason where it is not what the config says.
void explain(const Plan& plan, Explain& out);

/// Whether a filesystem is mounted by init that may name a path of the host as its source or in an
/// option: overlay's layers, a block device.
bool names_paths(const Plan& plan);

/// True when the host's own tree, or a part of it, is what the container has as /dev: nothing may
/// then be made or removed there.
bool binds_dev(const Plan& plan);

}  // namespace tare::mounts
