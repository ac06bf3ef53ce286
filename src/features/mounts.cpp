#include "features/mounts.hpp"

#include <fmt/core.h>
#include <linux/mount.h>

#include <algorithm>
#include <string_view>

#include "features/mount_checks.hpp"
#include "features/mount_target.hpp"
#include "features/overlay_layers.hpp"

namespace tare::mounts {
namespace {

using mount_checks::refusal;
using namespaces::Type;

constexpr std::string_view kSys = "/sys";
constexpr std::string_view kDev = "/dev";

Entry read_entry(const spec::Reader& item, const std::string& pointer) {
  const spec::Reader destination = item.at("destination");
  Entry entry{.destination = destination.string(),
              .type = item.string_or("type", ""),
              .source = item.string_or("source", ""),
              .options = mount_options::parse(item),
              .pointer = pointer};
  if (entry.destination.empty()) throw destination.error("must not be empty");
  return entry;
}

bool lies_below(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

// Some callers write destinations, and sources that earlier mounts provide, as paths of the host.
std::string without_rootfs(const std::string& path, const std::string& rootfs) {
  std::string clean = sys::clean_path(path);
  if (rootfs == "/" || !lies_below(clean, rootfs)) return clean;
  return sys::clean_path(clean.substr(rootfs.size()));
}

// The container's capabilities are not those over the host's mounts, or this runtime's are not.
bool in_user_namespace(const Context& context, const Host& host) {
  return context.namespaces.has(Type::user) || host.rootless;
}

// The kernel mounts a filesystem that shows a namespace only for who owns that namespace.
bool owns(Type type, const Context& context, const Host& host) {
  if (!in_user_namespace(context, host) || context.namespaces.creates(type)) return true;
  return context.namespaces.joins(type) && !context.namespaces.creates(Type::user);
}

void turn_into_bind(Mount& mount, const std::string& source, bool recursive, std::string reason) {
  mount.kind = Kind::bind;
  mount.source = source;
  mount.type.clear();
  mount.options.bind = true;
  mount.options.recursive_bind = recursive;
  mount.options.superblock.clear();
  mount.options.data.clear();
  mount.reason = std::move(reason);
}

// A bind that names any flag gets those flags and no others of its source's, as mount(8) has it,
// except where the source's may be locked and only an explicit word should fail.
void settle_flags(Mount& mount, bool keep_source_flags) {
  mount_options::Options& options = mount.options;
  options.superblock.clear();
  if (!options.names_flags || keep_source_flags) return;
  constexpr std::uint64_t kFlags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                   MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW;
  options.clear |= kFlags & ~options.set;
}

// A clone starts out in the peer group of the host's mount, where what is mounted in the container
// would appear on the host.
void settle_propagation(Mount& mount, std::uint64_t usual) {
  mount_options::Options& options = mount.options;
  if (usual == 0) return;
  if (!options.propagation.empty()) {
    const std::uint64_t first = options.propagation.front();
    const bool leaves_group = (first & (MS_PRIVATE | MS_UNBINDABLE)) != 0;
    const bool whole = (first & MS_REC) != 0 || !options.recursive_bind;
    if (leaves_group && whole) return;
  }
  options.propagation.insert(options.propagation.begin(), usual);
}

void plan_bind(Mount& mount, const Entry& entry, const Context& context, const Host& host) {
  if (entry.source.empty()) throw refusal(entry, "a bind mount needs a source");
  if (!entry.options.data.empty()) {
    throw refusal(entry, "bind mounts cannot have any filesystem-specific options applied");
  }
  const bool absolute = entry.source.starts_with('/');
  mount.kind = Kind::bind;
  mount.source = sys::clean_path(absolute ? entry.source : context.bundle + "/" + entry.source);
  mount.type.clear();
  mount.options.bind = true;
  if (context.rootfs.path != "/" && lies_below(mount.source, context.rootfs.path)) {
    mount.source = without_rootfs(mount.source, context.rootfs.path);
    mount.kind = Kind::inner_bind;
    mount.reason = "in the container's own tree, as it is by then";
  }
  settle_flags(mount, in_user_namespace(context, host));
}

void plan_cgroup(Mount& mount, const Context& context, const Host& host) {
  mount.type = "cgroup2";
  if (!context.namespaces.has(Type::cgroup)) {
    if (host.cgroup.mount_point.empty()) return;
    // A new mount shows the same, but one made in the first cgroup namespace gives the whole
    // hierarchy its options (kernel/cgroup/cgroup.c, apply_cgroup_root_flags): without nsdelegate
    // among them, the host would lose it.
    return turn_into_bind(mount, host.cgroup.mount_point, false,
                          "the whole tree of the host, there being no cgroup namespace");
  }
  if (owns(Type::cgroup, context, host) || context.cgroup_directory.empty()) return;
  turn_into_bind(mount, context.cgroup_directory, false,
                 "the container's own cgroup: its cgroup namespace belongs to another user "
                 "namespace");
}

// What gets a label is runc's rule: all but what is labelled by its own policy, and what shares one
// superblock with the host. mqueue takes no option; its root is labelled afterwards.
void settle_label(Mount& mount, const selinux::MountPlan& label) {
  if (label.label.empty()) return;
  if (mount.type == "proc" || mount.type == "sysfs" || mount.type == "cgroup2") return;
  if (mount.type == "mqueue") {
    mount.label = label.label;
    return;
  }
  // Two of them would contradict each other; the mount's own is the more special wish.
  const bool has_one = std::any_of(
      mount.options.data.begin(), mount.options.data.end(),
      [](const std::string& option) { return option.find("context=") != std::string::npos; });
  if (!has_one) mount.options.data.push_back(fmt::format("{}={}", label.type, label.label));
}

void plan_filesystem(Mount& mount, const Entry& entry, const Context& context, const Host& host) {
  if (entry.type.empty()) throw refusal(entry, "a mount that is no bind needs a type");
  if (entry.source.empty()) mount.source = entry.type;
  if (entry.type == "cgroup" || entry.type == "cgroup2") return plan_cgroup(mount, context, host);
  if (entry.type == "sysfs" && !owns(Type::network, context, host)) {
    turn_into_bind(mount, std::string(kSys), true,
                   "the host's sysfs, read-only: a user namespace may mount one only for a network "
                   "namespace of its own");
    mount.options.recursive_set |= MOUNT_ATTR_RDONLY;
    mount.options.recursive_clear &= ~std::uint64_t{MOUNT_ATTR_RDONLY};
    return;
  }
  if (entry.type == "mqueue" && !context.namespaces.has(Type::ipc) &&
      !owns(Type::ipc, context, host)) {
    turn_into_bind(
        mount, "/dev/mqueue", false,
        "the host's queues, there being no ipc namespace: a user namespace may not mount "
        "them");
    return;
  }
  // Later mounts, devices and the console need their places below these made.
  constexpr std::uint64_t kReadonly = MOUNT_ATTR_RDONLY;
  mount_options::Options& options = mount.options;
  const bool readonly = ((options.set | options.recursive_set) & kReadonly) != 0;
  if (!readonly || (entry.type != "tmpfs" && mount.destination != kDev)) return;
  mount.late_readonly = true;
  options.set &= ~kReadonly;
  options.recursive_set &= ~kReadonly;
  std::erase(options.superblock, "ro");
}

Mount plan_entry(const Entry& entry, const Context& context, const Host& host) {
  Mount mount{.destination = without_rootfs(entry.destination, context.rootfs.path),
              .source = entry.source,
              .type = entry.type,
              .options = entry.options,
              .pointer = entry.pointer};
  const bool is_bind = !entry.options.remount && (entry.options.bind || entry.type == "bind");
  mount_checks::check_words(entry, is_bind);
  if (entry.options.remount) {
    mount.kind = Kind::remount;
    if (entry.options.bind) settle_flags(mount, true);
  } else if (is_bind) {
    plan_bind(mount, entry, context, host);
  } else {
    plan_filesystem(mount, entry, context, host);
    if (entry.type == "overlay") overlay_layers::spread(mount.options.data);
    if (mount.kind == Kind::filesystem) settle_label(mount, context.label);
  }
  mount_checks::check_lengths(entry, mount);
  if (mount.reason.empty() && !entry.destination.starts_with('/')) {
    mount.reason = "a relative destination is one of the root";
  }
  if (mount.kind == Kind::bind || mount.kind == Kind::inner_bind) {
    settle_propagation(mount, rootfs::clone_propagation(context.rootfs));
  }
  mount_checks::check_place(mount, entry);
  return mount;
}

id_mapped_mounts::Use plan_id_map(const Entry& entry, const Context& context, const Host& host,
                                  std::vector<id_mapped_mounts::Map>& maps) {
  return asked_by([&] { return entry.pointer; },
                  [&] {
                    return in_context(
                        [&] { return mount_target::attempt(entry.source, entry.destination); },
                        [&] {
                          return id_mapped_mounts::plan(entry.options.id_map,
                                                        {.namespaces = context.namespaces,
                                                         .id_map = context.id_map,
                                                         .rootless = host.rootless},
                                                        maps);
                        });
                  });
}

std::string attributes_of(const mount_options::Options& options, bool late_readonly) {
  constexpr spec::Word<std::uint64_t> kNames[] = {
      {"ro", MOUNT_ATTR_RDONLY},       {"nosuid", MOUNT_ATTR_NOSUID},
      {"nodev", MOUNT_ATTR_NODEV},     {"noexec", MOUNT_ATTR_NOEXEC},
      {"noatime", MOUNT_ATTR_NOATIME}, {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW},
  };
  constexpr spec::Word<bool mount_options::Options::*> kWords[] = {
      {"copy-symlink", &mount_options::Options::copy_link},
      {"src-nofollow", &mount_options::Options::keep_source_link},
      {"dest-nofollow", &mount_options::Options::keep_target_link},
  };
  std::string text = late_readonly ? ", ro at the end" : "";
  for (const auto& word : kWords) {
    if (options.*(word.value)) text += fmt::format(", {}", word.name);
  }
  for (const auto& name : kNames) {
    if ((options.set & name.value) != 0) text += fmt::format(", {}", name.name);
    if ((options.recursive_set & name.value) != 0) text += fmt::format(", r{}", name.name);
  }
  return text;
}

std::string in_brief(const Mount& mount) {
  switch (mount.kind) {
    case Kind::bind:
    case Kind::inner_bind:
      return fmt::format("bind {}{} on {}", mount.source,
                         mount.options.recursive_bind ? " and all below it" : "",
                         mount.destination);
    case Kind::filesystem:
      return fmt::format("mount a new {} on {}", mount.type, mount.destination);
    case Kind::remount:
      return fmt::format("change the options of what is mounted on {}", mount.destination);
  }
  return {};
}

}  // namespace

Spec read(const spec::Reader& top) {
  const std::optional<spec::Reader> list = top.find("mounts");
  return list ? read_list(*list) : Spec{};
}

Spec read_list(const spec::Reader& list) {
  Spec spec;
  // Found by a walk through the whole document, so once for all.
  const std::string pointer = list.pointer();
  for (const spec::Reader& item : list.items()) {
    spec.entries.push_back(read_entry(item, fmt::format("{}/{}", pointer, spec.entries.size())));
  }
  return spec;
}

Plan plan(const Spec& spec, const Context& context, const Host& host) {
  Plan plan;
  for (const Entry& entry : spec.entries) {
    plan.mounts.push_back(plan_entry(entry, context, host));
    if (entry.options.id_map.asked) {
      plan.mounts.back().id_map = plan_id_map(entry, context, host, plan.id_maps);
    }
  }
  return plan;
}

void explain(const Plan& plan, Explain& out) {
  for (const Mount& mount : plan.mounts) {
    out.add("mounts",
            fmt::format("{}{}{}{}{}", in_brief(mount),
                        attributes_of(mount.options, mount.late_readonly),
                        mount.id_map ? id_mapped_mounts::explain(*mount.id_map, plan.id_maps) : "",
                        mount.reason.empty() ? "" : ": ", mount.reason),
            mount.pointer);
  }
}

bool names_paths(const Plan& plan) {
  constexpr std::string_view kWithout[] = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup2"};
  return std::any_of(plan.mounts.begin(), plan.mounts.end(), [&](const Mount& mount) {
    return mount.kind == Kind::filesystem &&
           std::find(std::begin(kWithout), std::end(kWithout), mount.type) == std::end(kWithout);
  });
}

bool binds_dev(const Plan& plan) {
  const auto last = std::find_if(plan.mounts.rbegin(), plan.mounts.rend(), [](const Mount& mount) {
    return mount.destination == kDev && mount.kind != Kind::remount;
  });
  return last != plan.mounts.rend() && last->kind != Kind::filesystem;
}

}  // namespace tare::mounts
