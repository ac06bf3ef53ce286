#include "stages/criu_root.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "features/mount_target.hpp"
#include "stages/birth.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace tare::stages {
namespace {

constexpr char kRootName[] = "root";
constexpr char kNull[] = "/dev/null";

// What is mounted on another filesystem of the container's: criu restores that with all that is in
// it.
bool is_on_filesystem(const mounts::Plan& plan, const std::string& destination) {
  return std::any_of(plan.mounts.begin(), plan.mounts.end(), [&](const mounts::Mount& mount) {
    return mount.kind == mounts::Kind::filesystem &&
           destination.starts_with(mount.destination + "/");
  });
}

// A bind that hears of the host's mounts is in a group with others from the same mount, and criu
// joins them all to the mount on which it finds the first. The kernel lets that be done only from a
// mount that has the others within it (MOVE_MOUNT_SET_GROUP): the host's own, and not our clone of
// one directory.
bool follows_host(const mounts::Mount& mount) {
  const std::vector<std::uint64_t>& propagation = mount.options.propagation;
  return mount.kind == mounts::Kind::bind && !mount.id_map &&
         std::none_of(propagation.begin(), propagation.end(), [](std::uint64_t flags) {
           return (flags & (MS_PRIVATE | MS_UNBINDABLE)) != 0;
         });
}

std::string place_on_host(const mounts::Mount& mount) {
  // criu would stop at a link.
  const sys::Fd source = sys::open_at(sys::FdRef::cwd(), mount.source, O_PATH);
  return sys::read_link(sys::FdRef::cwd(), fmt::format("/proc/self/fd/{}", source.number()));
}

void make_mount_point(const mounts::Mount& mount, const sys::Root& root, sys::Fd source) {
  if (mount.kind == mounts::Kind::bind) {
    // Attached, for what is to be mounted within it.
    mounts::apply_one(mount, root, std::move(source));
  } else if (!mount_target::find(root, mount.destination)) {
    mount_target::make(root, mount.destination, true);
  }
}

// Mounts below the directory must not be seen by the host. Not private: what follows the host's
// mounts there joins their masters through this one.
void leave_propagation(const std::string& directory) {
  sys::Fd place = sys::open_at(sys::FdRef::cwd(), directory, O_PATH | O_DIRECTORY);
  while (!sys::is_mount_root(place)) place = sys::open_at(place, "..", O_PATH | O_DIRECTORY);
  sys::set_attributes(place, {.propagation = MS_SLAVE}, false);
}

// A mount is attached to something of its own kind: a directory to a directory.
void put_at(sys::FdRef stage, const std::string& name, sys::FdRef mount) {
  const bool directory = S_ISDIR(sys::status(mount).st_mode);
  if (directory) {
    sys::make_directory(stage, name, 0700);
  } else {
    sys::open_at(stage, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
  }
  const sys::Fd place = sys::open_at(stage, name, O_PATH);
  sys::attach(mount, place);
}

}  // namespace

std::string CriuRoot::root_path() const {
  return fmt::format("{}/{}", directory, kRootName);
}

std::vector<std::pair<std::string, std::string>> CriuRoot::external_mounts() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (std::size_t i = 0; i < foreign.size(); ++i) {
    const Foreign& one = foreign[i];
    all.emplace_back(one.name, one.place.empty() ? fmt::format("{}/{}", directory, i) : one.place);
  }
  // What masks files.
  all.emplace_back(kNull, kNull);
  return all;
}

void make_mount_points(const Plan& plan) {
  run_in_child({.namespaces = CLONE_NEWNS}, [&] {
    mounts::Sources sources = mounts::open_sources(plan.mounts);
    const sys::Root root = rootfs::attach_in_init(plan.rootfs, rootfs::open_source(plan.rootfs));
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const mounts::Mount& mount = plan.mounts.mounts[i];
      if (mount.kind == mounts::Kind::remount) continue;
      if (is_on_filesystem(plan.mounts, mount.destination)) continue;
      make_mount_point(mount, root, std::move(sources[i]));
    }
  });
}

CriuRoot open_criu_root(const Plan& plan, const std::string& directory) {
  CriuRoot root{.directory = directory, .rootfs = rootfs::open_source(plan.rootfs)};
  mounts::Sources sources = mounts::open_sources(plan.mounts);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    // A link that is only copied is no mount.
    if (!sources[i] || S_ISLNK(sys::status(sources[i]).st_mode)) continue;
    const mounts::Mount& mount = plan.mounts.mounts[i];
    root.foreign.push_back({mount.destination, std::move(sources[i]),
                            follows_host(mount) ? place_on_host(mount) : std::string()});
  }
  std::vector<sys::Fd> nodes = devices::open_sources(plan.devices);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i]) root.foreign.push_back({plan.devices.devices[i].path, std::move(nodes[i]), {}});
  }
  return root;
}

void enter_criu_root(const CriuRoot& root) {
  leave_propagation(root.directory);
  // The directory itself may lie on a filesystem that is full, or be watched by others.
  const sys::Fd stage = sys::NewFilesystem("tmpfs").mount(0);
  const sys::Fd place = sys::open_at(sys::FdRef::cwd(), root.directory, O_PATH | O_DIRECTORY);
  sys::attach(stage, place);
  put_at(stage, kRootName, root.rootfs);
  for (std::size_t i = 0; i < root.foreign.size(); ++i) {
    const Foreign& one = root.foreign[i];
    if (one.place.empty()) put_at(stage, std::to_string(i), one.mount);
  }
}

}  // namespace tare::stages
