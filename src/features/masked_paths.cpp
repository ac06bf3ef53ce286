#include "features/masked_paths.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace tare::masked_paths {
namespace {

constexpr std::string_view kMasked = "/linux/maskedPaths";
constexpr std::string_view kReadonly = "/linux/readonlyPaths";

std::vector<std::string> read_paths(const spec::Reader& linux_object, std::string_view key) {
  std::vector<std::string> paths;
  const std::optional<spec::Reader> list = linux_object.find(key);
  if (!list) return paths;
  for (const spec::Reader& item : list->items()) {
    const std::string path = item.string();
    // "The values MUST be absolute paths in the container namespace"; and over "/" nothing would be
    // seen of a mount, which is worse than an error.
    if (!path.starts_with('/')) throw item.error("must be an absolute path");
    if (sys::clean_path(path) == "/") throw item.error("must not be the root");
    paths.push_back(path);
  }
  return paths;
}

// In order; a second mask over a first would hide nothing more.
std::vector<std::string> cleaned(const std::vector<std::string>& paths) {
  std::vector<std::string> clean;
  for (const std::string& path : paths) {
    std::string next = sys::clean_path(path);
    if (std::find(clean.begin(), clean.end(), next) == clean.end())
      clean.push_back(std::move(next));
  }
  return clean;
}

void check_null_device(sys::FdRef node) {
  constexpr unsigned kMajor = 1;
  constexpr unsigned kMinor = 3;
  const struct stat found = sys::status(node);
  if (S_ISCHR(found.st_mode) && found.st_rdev == makedev(kMajor, kMinor)) return;
  throw Error(ErrorKind::system, "/dev/null of the host is not the null device");
}

// A mount that is needed in many places. It has to be attached once before it can be copied:
// cloning a detached mount is EINVAL before Linux 6.15.
class Cover {
 public:
  explicit Cover(sys::Fd first) noexcept : mount_(std::move(first)) {}

  void put_over(sys::FdRef target) {
    if (!attached_) {
      sys::attach(mount_, target);
      attached_ = true;
      return;
    }
    const sys::Fd copy = sys::clone_tree(mount_, "", false);
    sys::attach(copy, target);
  }

 private:
  sys::Fd mount_;
  bool attached_ = false;
};

sys::Fd make_empty_directory(const selinux::MountPlan& label) {
  // The least that a tmpfs can be: its root is the one inode. A filesystem for each mask, with the
  // usual half of memory as its size, has been a way to exhaust a host.
  sys::NewFilesystem filesystem("tmpfs");
  filesystem.set("source", "tmpfs");
  filesystem.set_flag("ro");
  filesystem.set("nr_blocks", "1");
  filesystem.set("nr_inodes", "1");
  if (!label.label.empty()) filesystem.set(label.type, label.label);
  return filesystem.mount(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                          MOUNT_ATTR_NOEXEC);
}

template <typename Body>
void for_path(std::string_view doing, const std::string& path, std::string_view field,
              Body&& body) {
  asked_by([&] { return std::string(field); },
           [&] {
             in_context([&] { return fmt::format("{} \"{}\"", doing, path); },
                        std::forward<Body>(body));
           });
}

// Where paths of the container are looked up.
struct Places {
  const sys::Root& root;
  const std::vector<mounts::KernelTree>& trees;

  // A path that does not exist is skipped, so one that leads astray for a moment would leave open
  // what it is to hide: /proc/timer_list, while /proc is another directory (CVE-2023-27561).
  std::optional<sys::Fd> find(const std::string& path) const {
    for (const mounts::KernelTree& tree : trees) {
      const std::size_t end = tree.destination.size();
      if (path.starts_with(tree.destination) && path.size() > end && path[end] == '/') {
        return tree.root.find(std::string_view(path).substr(end), O_PATH);
      }
    }
    return root.find(path, O_PATH);
  }
};

void freeze(const Places& places, const std::string& path) {
  const std::optional<sys::Fd> target = places.find(path);
  if (!target) return;
  // The clone keeps nosuid, nodev and noexec of the mount that it is part of.
  const sys::Fd copy = sys::clone_tree(*target, "", true);
  sys::set_attributes(copy, {.set = MOUNT_ATTR_RDONLY}, false);
  sys::attach(copy, *target);
}

void mask(const Places& places, const std::string& path, const selinux::MountPlan& label,
          Cover& file, std::optional<Cover>& directory) {
  const std::optional<sys::Fd> target = places.find(path);
  if (!target) return;
  if (!S_ISDIR(sys::status(*target).st_mode)) return file.put_over(*target);
  if (!directory) directory.emplace(make_empty_directory(label));
  directory->put_over(*target);
}

}  // namespace

Spec read(const spec::Reader& linux_object) {
  return {.masked = read_paths(linux_object, "maskedPaths"),
          .readonly = read_paths(linux_object, "readonlyPaths")};
}

Plan plan(const Spec& spec, const selinux::MountPlan& label) {
  return {.masked = cleaned(spec.masked),
          .readonly = cleaned(spec.readonly),
          .label = spec.masked.empty() ? selinux::MountPlan{} : label};
}

sys::Fd open_source(const Plan& plan) {
  if (plan.masked.empty()) return {};
  return asked_by(
      [] { return std::string(kMasked); },
      [] {
        return in_context(
            [] { return "can't mask paths"; },
            [] {
              sys::Fd null_device = sys::clone_tree(sys::FdRef::cwd(), "/dev/null", false);
              check_null_device(null_device);
              // Out of the host's peer group, where what is mounted over a mask would be on the
              // host's node.
              sys::set_attributes(
                  null_device,
                  {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, .propagation = MS_PRIVATE}, false);
              return null_device;
            });
      });
}

void apply_in_init(const Plan& plan, const sys::Root& root,
                   const std::vector<mounts::KernelTree>& trees, sys::Fd null_device) {
  const Places places{.root = root, .trees = trees};
  for (const std::string& path : plan.readonly) {
    for_path("can't make read-only path", path, kReadonly, [&] { freeze(places, path); });
  }
  Cover file(std::move(null_device));
  std::optional<Cover> directory;
  for (const std::string& path : plan.masked) {
    for_path("can't mask path", path, kMasked,
             [&] { mask(places, path, plan.label, file, directory); });
  }
}

void explain(const Plan& plan, Explain& out) {
  for (const std::string& path : plan.readonly) {
    out.add("masked_paths", fmt::format("make {} read-only, where it exists", path),
            std::string(kReadonly));
  }
  for (const std::string& path : plan.masked) {
    out.add("masked_paths", fmt::format("hide {}, where it exists", path), std::string(kMasked));
  }
}

}  // namespace tare::masked_paths
