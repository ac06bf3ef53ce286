#include "features/mounts.hpp"

#include <fmt/core.h>
#include <linux/mount.h>

#include <algorithm>
#include <string_view>

#include "features/mount_target.hpp"

namespace tare::mounts {
namespace {

using namespaces::Type;

constexpr std::string_view kSys = "/sys";
constexpr std::string_view kDev = "/dev";

Error refusal(const Entry& entry, std::string_view text) {
  Error error(ErrorKind::spec, std::string(text));
  error.add_context(mount_target::attempt(entry.source, entry.destination));
  error.set_field(entry.pointer);
  return error;
}

Entry read_entry(const spec::Reader& item) {
  const spec::Reader destination = item.at("destination");
  Entry entry{.destination = destination.string(),
              .type = item.string_or("type", ""),
              .source = item.string_or("source", ""),
              .options = mount_options::parse(item),
              .pointer = item.pointer()};
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

// The kernel mounts sysfs only for who owns the network namespace that it shows.
bool may_mount_sysfs(const Context& context, const Host& host) {
  if (!in_user_namespace(context, host) || context.namespaces.creates(Type::network)) return true;
  return context.namespaces.joins(Type::network) && !context.namespaces.creates(Type::user);
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
    mount.kind = Kind::inner_bind;
    mount.source = without_rootfs(mount.source, context.rootfs.path);
    mount.reason = "in the container's own tree, as it is by then";
  }
  settle_flags(mount, in_user_namespace(context, host));
}

void plan_cgroup(Mount& mount, const Context& context) {
  mount.type = "cgroup2";
  if (context.namespaces.has(Type::cgroup) || context.cgroup_directory.empty()) return;
  turn_into_bind(mount, context.cgroup_directory, false,
                 "the container's own cgroup, there being no cgroup namespace");
}

void plan_filesystem(Mount& mount, const Entry& entry, const Context& context, const Host& host) {
  if (entry.type.empty()) throw refusal(entry, "a mount that is no bind needs a type");
  if (entry.source.empty()) mount.source = entry.type;
  if (mount.options.copy_up && entry.type != "tmpfs") {
    throw refusal(entry, "tmpcopyup is for tmpfs only");
  }
  if (entry.type == "cgroup" || entry.type == "cgroup2") return plan_cgroup(mount, context);
  if (entry.type == "sysfs" && !may_mount_sysfs(context, host)) {
    turn_into_bind(mount, std::string(kSys), true,
                   "the host's sysfs, read-only: a user namespace may mount one only for a network "
                   "namespace of its own");
    mount.options.recursive_set |= MOUNT_ATTR_RDONLY;
    mount.options.recursive_clear &= ~std::uint64_t{MOUNT_ATTR_RDONLY};
    return;
  }
  // Later mounts, devices and the console need their places below these made.
  const bool readonly = (mount.options.set & MOUNT_ATTR_RDONLY) != 0;
  if (!readonly || (entry.type != "tmpfs" && mount.destination != kDev)) return;
  mount.late_readonly = true;
  mount.options.set &= ~std::uint64_t{MOUNT_ATTR_RDONLY};
  std::erase(mount.options.superblock, "ro");
}

void check_place(const Mount& mount, const Entry& entry) {
  if (mount.kind == Kind::remount) return;
  if (mount.destination == "/") {
    throw refusal(entry, "mountpoint \"/\" is on the top of rootfs");
  }
  if (!mount_target::is_in_proc(mount.destination)) return;
  if (mount.destination == "/proc") {
    // Of a bind the parent sees whether it is one of a procfs.
    if (mount.type == "proc" || mount.kind == Kind::bind) return;
    throw refusal(entry, "\"/proc\" cannot be mounted because it is not of type proc");
  }
  if (mount_target::may_cover(mount.destination)) return;
  throw refusal(
      entry, fmt::format("\"{}\" cannot be mounted because it is inside /proc", mount.destination));
}

Mount plan_entry(const Entry& entry, const Context& context, const Host& host) {
  Mount mount{.destination = without_rootfs(entry.destination, context.rootfs.path),
              .source = entry.source,
              .type = entry.type,
              .options = entry.options,
              .pointer = entry.pointer};
  if (entry.options.remount) {
    mount.kind = Kind::remount;
    if (entry.options.bind) settle_flags(mount, true);
  } else if (entry.options.bind || entry.type == "bind") {
    plan_bind(mount, entry, context, host);
  } else {
    plan_filesystem(mount, entry, context, host);
  }
  if (mount.kind == Kind::bind || mount.kind == Kind::inner_bind) {
    settle_propagation(mount, rootfs::clone_propagation(context.rootfs));
  }
  check_place(mount, entry);
  return mount;
}

std::string attributes_of(const mount_options::Options& options, bool late_readonly) {
  constexpr spec::Word<std::uint64_t> kNames[] = {
      {"ro", MOUNT_ATTR_RDONLY},       {"nosuid", MOUNT_ATTR_NOSUID},
      {"nodev", MOUNT_ATTR_NODEV},     {"noexec", MOUNT_ATTR_NOEXEC},
      {"noatime", MOUNT_ATTR_NOATIME}, {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW},
  };
  std::string text = late_readonly ? ", ro at the end" : "";
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
  Spec spec;
  const std::optional<spec::Reader> list = top.find("mounts");
  if (!list) return spec;
  for (const spec::Reader& item : list->items()) spec.entries.push_back(read_entry(item));
  return spec;
}

Plan plan(const Spec& spec, const Context& context, const Host& host) {
  Plan plan;
  for (const Entry& entry : spec.entries) plan.mounts.push_back(plan_entry(entry, context, host));
  return plan;
}

void explain(const Plan& plan, Explain& out) {
  for (const Mount& mount : plan.mounts) {
    out.add(
        "mounts",
        fmt::format("{}{}{}{}", in_brief(mount), attributes_of(mount.options, mount.late_readonly),
                    mount.reason.empty() ? "" : ": ", mount.reason),
        mount.pointer);
  }
}

bool binds_dev(const Plan& plan) {
  const auto last = std::find_if(plan.mounts.rbegin(), plan.mounts.rend(), [](const Mount& mount) {
    return mount.destination == kDev && mount.kind != Kind::remount;
  });
  return last != plan.mounts.rend() && last->kind != Kind::filesystem;
}

}  // namespace tare::mounts
