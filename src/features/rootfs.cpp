#include "features/rootfs.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <vector>

#include "sys/file.hpp"
#include "sys/mount.hpp"
#include "sys/process.hpp"

namespace tare::rootfs {
namespace {

constexpr spec::Word<std::uint64_t> kPropagation[] = {
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
};

std::string_view propagation_name(std::uint64_t flags) {
  for (const auto& word : kPropagation) {
    if (word.value == flags) return word.name;
  }
  return "?";
}

// A mountinfo field: the kernel writes blanks and backslashes as \040 and the like
// (fs/proc_namespace.c).
std::string unescape(std::string_view field) {
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      text += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 +
                                (field[i + 3] - '0'));
      i += 3;
    } else {
      text += field[i];
    }
  }
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool lies_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

// The mount point of a line of mountinfo that is a whole procfs or sysfs; empty for any other line.
// Fields: id, parent, device, root, mount point, options, tags up to a "-", type (proc(5)).
std::string whole_proc_or_sys(std::string_view line) {
  constexpr std::size_t kRoot = 3;
  constexpr std::size_t kMountPoint = 4;
  const std::vector<std::string_view> fields = split(line, ' ');
  std::size_t type = kMountPoint;
  while (type < fields.size() && fields[type] != "-") ++type;
  if (type + 1 >= fields.size() || fields[kRoot] != "/") return {};
  if (fields[type + 1] != "proc" && fields[type + 1] != "sysfs") return {};
  return unescape(fields[kMountPoint]);
}

void hide(const std::string& mount_point) {
  const std::optional<sys::Fd> mount =
      sys::find_at(sys::FdRef::cwd(), mount_point, O_PATH | O_DIRECTORY);
  if (!mount) return;
  sys::change_directory(*mount);
  try {
    sys::detach_here();
  } catch (const Error& error) {
    // Locked in a user namespace: covering it takes the place of taking it away.
    if (error.errno_value() != EINVAL && error.errno_value() != EPERM) throw;
    const sys::Fd cover = sys::NewFilesystem("tmpfs").mount(MOUNT_ATTR_RDONLY);
    sys::attach(cover, *mount);
  }
}

// After a chroot the host's mounts are still in the namespace, out of sight but good enough for the
// kernel to permit the mount of a new procfs or sysfs that it would refuse where the container's
// own are masked (fs/namespace.c, mount_too_revealing). So they go first.
void hide_host_filesystems(const Plan& plan) {
  constexpr std::size_t kLimit = 64U << 20U;
  const std::string text = sys::read_file(sys::FdRef::cwd(), "/proc/self/mountinfo", kLimit);
  for (const std::string_view line : split(text, '\n')) {
    const std::string mount_point = whole_proc_or_sys(line);
    if (!mount_point.empty() && !lies_below(mount_point, plan.path)) hide(mount_point);
  }
}

Error invalid(const std::string& text) {
  Error error(ErrorKind::spec, "invalid rootfs: " + text);
  error.set_field("/root/path");
  return error;
}

// Gives whether this process is in the namespace now. Without CAP_SYS_CHROOT it may not join one,
// and is in a copy of the host's then.
bool enter_apart(const sys::Fd& apart) {
  if (!apart) return false;
  try {
    sys::join_namespaces(apart, CLONE_NEWNS);
    return true;
  } catch (const Error& error) {
    if (error.errno_value() != EPERM) throw;
    sys::unshare(CLONE_NEWNS);
    return false;
  }
}

// The kernel's first root is mounted on nothing, so there is no place for it to go (pivot_root(2),
// EINVAL): what starts containers from an initramfs has to say so.
void pivot() {
  try {
    sys::pivot_root_here();
  } catch (Error& error) {
    if (error.errno_value() == EINVAL) {
      error.set_hint("where the root is an initramfs it cannot be pivoted: use --no-pivot");
    }
    throw;
  }
}

}  // namespace

Spec read(const spec::Reader& top) {
  const spec::Reader root = top.at("root");
  const spec::Reader path = root.at("path");
  Spec spec{.path = path.string(), .readonly = root.boolean_or("readonly", false)};
  if (spec.path.empty()) throw path.error("must not be empty");
  const std::optional<spec::Reader> linux_object = top.find("linux");
  const std::optional<spec::Reader> propagation =
      linux_object ? linux_object->find("rootfsPropagation") : std::nullopt;
  if (propagation && !propagation->string().empty()) {
    spec.propagation = propagation->one_of("rootfsPropagation", kPropagation);
  }
  return spec;
}

Plan plan(const Spec& spec, const Options& options, const Host&) {
  // A private copy of the host's mounts would keep them busy for as long as the container lives,
  // and without pivot_root they are never detached.
  if (options.no_pivot && (spec.propagation & MS_PRIVATE) != 0) {
    Error error(ErrorKind::spec, "rootfsPropagation of [r]private is not safe without pivot_root");
    error.set_field("/linux/rootfsPropagation");
    throw error;
  }
  const bool absolute = spec.path.starts_with('/');
  return {.path = sys::clean_path(absolute ? spec.path : options.bundle + "/" + spec.path),
          .readonly = spec.readonly,
          .no_pivot = options.no_pivot,
          .propagation = spec.propagation};
}

std::uint64_t clone_propagation(const Plan& plan) noexcept {
  if ((plan.propagation & MS_SHARED) != 0) return 0;
  if ((plan.propagation & MS_PRIVATE) != 0) return MS_PRIVATE | MS_REC;
  return MS_SLAVE | MS_REC;
}

sys::Fd open_source(const Plan& plan) {
  const std::optional<sys::Fd> found =
      sys::find_at(sys::FdRef::cwd(), plan.path, O_PATH | O_NOFOLLOW);
  if (!found) throw invalid(fmt::format("stat {}: no such file or directory", plan.path));
  const mode_t mode = sys::status(*found).st_mode;
  if (S_ISLNK(mode)) throw invalid("not an absolute path, or a symlink");
  if (!S_ISDIR(mode)) throw invalid(fmt::format("{} is not a directory", plan.path));

  sys::Fd tree = sys::clone_tree(*found, "", true);
  if (const std::uint64_t below = clone_propagation(plan); below != 0) {
    sys::set_attributes(tree, {.propagation = below & ~std::uint64_t{MS_REC}}, true);
  }
  // pivot_root(2) refuses a shared new root, and what is mounted in it must not reach the host.
  const bool is_safe = (plan.propagation & (MS_SLAVE | MS_PRIVATE)) != 0;
  if (!is_safe) sys::set_attributes(tree, {.propagation = MS_PRIVATE}, false);
  return tree;
}

sys::Fd find_namespace(const Plan& plan, sys::FdRef tree) {
  return plan.apart ? sys::find_namespace_of(tree) : sys::Fd();
}

sys::Root attach_in_init(const Plan& plan, sys::Fd tree, sys::Fd apart) {
  const bool is_apart = enter_apart(apart);
  // The host's mounts leave this namespace again with pivot_root; until then nothing that is done
  // here may travel to the host, and what it unmounts must not stay busy here (hence slave, not
  // private).
  const sys::Fd top = sys::open_at(sys::FdRef::cwd(), "/", O_PATH | O_DIRECTORY);
  sys::set_attributes(top, {.propagation = MS_SLAVE}, true);
  const sys::Fd target = sys::open_at(sys::FdRef::cwd(), is_apart ? "/" : plan.path,
                                      O_PATH | O_DIRECTORY | O_NOFOLLOW);
  sys::attach(tree, target);
  return sys::Root(std::move(tree));
}

void enter_in_init(const Plan& plan, const sys::Root& root) {
  in_context([] { return "error jailing process inside rootfs"; },
             [&] {
               if (plan.no_pivot) hide_host_filesystems(plan);
               sys::change_directory(root.fd());
               plan.no_pivot ? sys::move_root_here() : pivot();
             });
  // Private and slave hold since the clone was made; these two would have kept it from being
  // attached.
  const std::uint64_t late = plan.propagation & (MS_SHARED | MS_UNBINDABLE);
  if (late == 0) return;
  in_context([] { return "unable to apply root propagation flags"; },
             [&] {
               sys::set_attributes(root.fd(), {.propagation = late},
                                   (plan.propagation & MS_REC) != 0);
             });
}

void finish_in_init(const Plan& plan, const sys::Root& root) {
  if (!plan.readonly) return;
  in_context([] { return "error setting rootfs as readonly"; },
             [&] { sys::set_attributes(root.fd(), {.set = MOUNT_ATTR_RDONLY}, false); });
}

void explain(const Plan& plan, Explain& out) {
  out.add("rootfs",
          fmt::format("make {} the root by {}", plan.path,
                      plan.no_pivot ? "moving it over \"/\" and chroot" : "pivot_root"),
          "/root/path");
  if (plan.propagation != 0) {
    out.add("rootfs", fmt::format("make the root {}", propagation_name(plan.propagation)),
            "/linux/rootfsPropagation");
  } else {
    out.add("rootfs", "make the root private, and what is mounted below it slave");
  }
  if (plan.readonly) out.add("rootfs", "make the root read-only", "/root/readonly");
}

}  // namespace tare::rootfs
