#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>

#include "features/copy_up.hpp"
#include "features/mount_hints.hpp"
#include "features/mount_target.hpp"
#include "features/mounts.hpp"
#include "sys/describe.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"

// What is done about mounts; what is decided is in mounts.cpp.

namespace tare::mounts {
namespace {

template <typename Body>
decltype(auto) for_mount(const Mount& mount, Body&& body) {
  try {
    return in_context([&] { return mount_target::attempt(mount.source, mount.destination); },
                      std::forward<Body>(body));
  } catch (Error& error) {
    error.set_field(mount.pointer);
    error.set_hint(mount_hints::hint_for(mount, error.errno_value()));
    throw;
  }
}

void change(sys::FdRef fd, const mount_options::Options& options, bool tree) {
  for (const mount_options::Change& step : mount_options::changes(options, tree)) {
    sys::set_attributes(fd, {.set = step.set, .clear = step.clear, .propagation = step.propagation},
                        step.recursive);
  }
}

// Only the root of a procfs has this inode number (include/linux/proc_fs.h, PROC_ROOT_INO).
void check_procfs(sys::FdRef source) {
  constexpr ino_t kProcRoot = 1;
  if (sys::filesystem_type(source) == PROC_SUPER_MAGIC && sys::status(source).st_ino == kProcRoot) {
    return;
  }
  throw Error(ErrorKind::spec, "\"/proc\" cannot be mounted because it is not of type proc");
}

// What a bind's source names, O_PATH, where the options do not let the kernel walk there by itself;
// nullopt where they do.
std::optional<sys::Fd> find_source(const Mount& mount) {
  const mount_options::Options& options = mount.options;
  const int itself = options.keep_source_link || options.copy_link ? O_PATH | O_NOFOLLOW : O_PATH;
  if (itself == O_PATH) return std::nullopt;
  return sys::open_at(sys::FdRef::cwd(), mount.source, itself);
}

// copy-symlink: such a source is no mount; its text is all that is wanted of it.
bool is_link_to_copy(const Mount& mount, sys::FdRef source) {
  return mount.options.copy_link && S_ISLNK(sys::status(source).st_mode);
}

sys::Fd clone_source(const Mount& mount, id_mapped_mounts::UserNamespaces& namespaces) {
  const bool recursive = mount.options.recursive_bind;
  std::optional<sys::Fd> found = find_source(mount);
  if (found && is_link_to_copy(mount, *found)) return std::move(*found);
  sys::Fd tree = found ? sys::clone_tree(*found, "", recursive)
                       : sys::clone_tree(sys::FdRef::cwd(), mount.source, recursive);
  if (mount.destination == "/proc") check_procfs(tree);
  change(tree, mount.options, recursive);
  if (mount.id_map) namespaces.apply(*mount.id_map, tree);
  return tree;
}

// move_mount(2) says EINVAL to a directory on a file; callers look for what mount(2) says.
void put_on(sys::FdRef target, sys::FdRef mount) {
  try {
    sys::attach(mount, target);
  } catch (const Error& error) {
    const bool directory = S_ISDIR(sys::status(mount).st_mode);
    if (error.errno_value() != EINVAL || directory == S_ISDIR(sys::status(target).st_mode)) throw;
    sys::raise(ENOTDIR, "move_mount {} {} to {}", directory ? "directory" : "file",
               sys::describe(mount), sys::describe(target));
  }
}

void attach_bind(const Mount& mount, const sys::Root& root, sys::FdRef source) {
  if (is_link_to_copy(mount, source)) {
    return mount_target::make_link(root, mount.destination, sys::read_link(source, ""));
  }
  std::optional<sys::Fd> target = mount.options.keep_target_link
                                      ? mount_target::find_itself(root, mount.destination)
                                      : mount_target::find(root, mount.destination);
  if (!target) {
    const bool directory = S_ISDIR(sys::status(source).st_mode);
    target = mount_target::make(root, mount.destination, directory);
  }
  put_on(*target, source);
}

sys::Fd attach_inner_bind(const Mount& mount, const sys::Root& root, const MapIds& map_ids) {
  const mount_options::Options& options = mount.options;
  const int itself = options.keep_source_link || options.copy_link ? O_NOFOLLOW : 0;
  sys::Fd source = root.open(mount.source, O_PATH | itself);
  if (is_link_to_copy(mount, source)) {
    attach_bind(mount, root, source);
    return source;
  }
  sys::Fd tree = sys::clone_tree(source, "", options.recursive_bind);
  change(tree, options, options.recursive_bind);
  if (mount.id_map) map_ids(mount, tree);
  attach_bind(mount, root, tree);
  return tree;
}

void set_option(sys::NewFilesystem& filesystem, const std::string& option) {
  const std::size_t end = option.find('=');
  if (end == std::string::npos) return filesystem.set_flag(option);
  filesystem.set(option.substr(0, end), option.substr(end + 1));
}

bool has_option(const mount_options::Options& options, std::string_view key) {
  return std::any_of(options.data.begin(), options.data.end(),
                     [&](const std::string& option) { return option.starts_with(key); });
}

// A tmpfs looks like the directory that it covers, unless told otherwise. Set before it is made:
// the mode of what is mounted belongs to whoever made it (and mounts may share it).
void look_alike(sys::NewFilesystem& filesystem, const mount_options::Options& options,
                sys::FdRef covered) {
  const struct stat there = sys::status(covered);
  if (!has_option(options, "mode=")) {
    filesystem.set("mode", fmt::format("{:04o}", there.st_mode & 07777U));
  }
  if (!options.copy_up) return;
  if (!has_option(options, "uid=")) filesystem.set("uid", std::to_string(there.st_uid));
  if (!has_option(options, "gid=")) filesystem.set("gid", std::to_string(there.st_gid));
}

sys::Fd make_filesystem(const Mount& mount, const std::optional<sys::Fd>& covered) {
  const mount_options::Options& options = mount.options;
  sys::NewFilesystem filesystem(mount.type);
  filesystem.set("source", mount.source);
  for (const std::string& flag : options.superblock) filesystem.set_flag(flag);
  if (mount.type == "tmpfs" && covered) look_alike(filesystem, options, *covered);
  for (const std::string& option : options.data) set_option(filesystem, option);
  sys::Fd made = filesystem.mount(options.set | options.recursive_set);
  change(made, {.propagation = options.propagation}, false);
  return made;
}

// The filesystem first: one that cannot be made leaves no directory behind that was made for it.
sys::Fd attach_filesystem(const Mount& mount, const sys::Root& root) {
  const bool ordinary = mount.type == "proc" || mount.type == "sysfs";
  std::optional<sys::Fd> target =
      ordinary ? std::nullopt : mount_target::find(root, mount.destination);
  sys::Fd filesystem = make_filesystem(mount, target);
  if (mount.options.copy_up && target) copy_up::copy_tree(*target, filesystem);
  if (!target) {
    target = ordinary ? mount_target::open_ordinary(root, mount.destination, mount.type)
                      : mount_target::make(root, mount.destination, true);
  }
  put_on(*target, filesystem);
  if (!mount.label.empty()) {
    // What a mount is held by is an O_PATH descriptor, of which nothing can be changed.
    const sys::Fd top = sys::open_at(filesystem, ".", O_RDONLY | O_DIRECTORY);
    sys::set_extended_attribute(top, "security.selinux", mount.label);
  }
  return filesystem;
}

void remount(const Mount& mount, const sys::Root& root) {
  const sys::Fd target = root.open(mount.destination, O_PATH);
  change(target, mount.options, true);
  std::vector<std::string> options = mount.options.superblock;
  options.insert(options.end(), mount.options.data.begin(), mount.options.data.end());
  if (!mount.options.bind && !options.empty()) sys::reconfigure(target, options);
}

// A mount over a tree, or over a directory above it, takes its name.
void forget_covered(std::vector<KernelTree>& trees, const std::string& destination) {
  std::erase_if(trees, [&](const KernelTree& tree) {
    return tree.destination == destination || tree.destination.starts_with(destination + '/');
  });
}

bool is_kernel_tree(const Mount& mount) {
  return mount.type == "proc" || mount.type == "sysfs" || mount.destination == "/proc" ||
         mount.destination == "/sys";
}

}  // namespace

Sources open_sources(const Plan& plan) {
  Sources sources(plan.mounts.size());
  id_mapped_mounts::UserNamespaces namespaces(plan.id_maps);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Mount& mount = plan.mounts[i];
    if (mount.kind != Kind::bind) continue;
    sources[i] = for_mount(mount, [&] { return clone_source(mount, namespaces); });
  }
  return sources;
}

sys::Fd apply_one(const Mount& mount, const sys::Root& root, sys::Fd source,
                  const MapIds& map_ids) {
  return for_mount(mount, [&]() -> sys::Fd {
    switch (mount.kind) {
      case Kind::bind:
        attach_bind(mount, root, source);
        return std::move(source);
      case Kind::inner_bind:
        return attach_inner_bind(mount, root, map_ids);
      case Kind::filesystem:
        return attach_filesystem(mount, root);
      case Kind::remount:
        remount(mount, root);
        break;
    }
    return sys::Fd();
  });
}

Made apply_in_init(const Plan& plan, const sys::Root& root, Sources sources,
                   const MapIds& map_ids) {
  Made made;
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    const Mount& mount = plan.mounts[i];
    sys::Fd attached = apply_one(mount, root, std::move(sources.at(i)), map_ids);
    if (mount.destination == "/dev") made.dev = true;
    if (mount.kind == Kind::remount) continue;
    forget_covered(made.kernel_trees, mount.destination);
    if (mount.late_readonly) {
      made.late_readonly.push_back(std::move(attached));
    } else if (mount.type == "devpts" && mount.destination == "/dev/pts") {
      made.devpts = std::move(attached);
    } else if (is_kernel_tree(mount)) {
      made.kernel_trees.push_back(
          {.destination = mount.destination, .root = sys::Root(std::move(attached))});
    }
  }
  return made;
}

std::optional<sys::FdRef> find_proc(const Made& made) noexcept {
  for (const KernelTree& tree : made.kernel_trees) {
    if (tree.destination == "/proc") return tree.root.fd();
  }
  return std::nullopt;
}

void finish_in_init(const Made& made) {
  for (const sys::Fd& mount : made.late_readonly) {
    sys::set_attributes(mount, {.set = MOUNT_ATTR_RDONLY}, false);
  }
}

}  // namespace tare::mounts
