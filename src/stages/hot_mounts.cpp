// mounts add and mounts remove: mounts that come and go while the container lives.
//
//   parent   reads and plans the list, clones the sources in its own mount namespace
//   child    joins every namespace of the container but the pid namespace, so that nothing in the
//            container can see it; resolves the destinations there and attaches or detaches
//
// The child executes nothing and is told everything before it joins.

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "features/mounts.hpp"
#include "host/host.hpp"
#include "stages/birth.hpp"
#include "stages/create.hpp"
#include "stages/lifecycle.hpp"
#include "stages/undo.hpp"
#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"
#include "sys/process.hpp"

namespace tare {
namespace stages {
namespace {

constexpr std::size_t kMaxFile = 16U << 20U;

// The namespaces that a filesystem shows, and those that its making needs rights in.
constexpr std::uint64_t kJoined =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;

struct Found {
  state::ContainerDirectory directory;  ///< locked, so that no delete comes between
  Record record;
  sys::Fd init;
};

Found find_container(const GlobalOptions& global, const std::string& id) {
  const state::Store store(global);
  state::ContainerDirectory directory = store.open(id, state::Lock::exclusive);
  Record record = read_record(directory);
  std::optional<sys::Fd> init = find_init(directory, record);
  if (!init) throw Error(ErrorKind::state, "container not running");
  if ((record.namespaces & CLONE_NEWNS) == 0) {
    throw Error(ErrorKind::unsupported,
                "the container has no mount namespace: its mounts are those of the host");
  }
  return {std::move(directory), std::move(record), std::move(*init)};
}

// What the child works with once it is in the container's namespaces.
struct Inside {
  sys::Root root;
  sys::Fd own_descriptors;  ///< /proc/self/fd of the host's procfs
};

Inside enter(const Found& found) {
  // By the procfs of the host: the one of the container does not show this process.
  sys::Fd own = sys::open_at(sys::FdRef::cwd(), "/proc/self/fd", O_PATH | O_DIRECTORY);
  sys::set_dumpable(false);
  sys::join_namespaces(found.init, static_cast<int>(found.record.namespaces & kJoined));
  if ((found.record.namespaces & CLONE_NEWUSER) != 0) {
    sys::set_gid(0);
    sys::set_uid(0);
  }
  // A change of ids has set it anew.
  sys::set_dumpable(false);
  sys::Fd root = sys::open_at(sys::FdRef::cwd(), "/", O_PATH | O_DIRECTORY);
  return {sys::Root(std::move(root)), std::move(own)};
}

// Runs `work` in the container's namespaces and throws what it throws.
template <typename Work>
void run_inside(const Found& found, Work&& work) {
  run_in_child({}, [&] { work(enter(found)); });
}

// The container's own mappings, for mounts that are to have the same.
id_map::Plan id_map_of(const mounts::Spec& spec, const Found& found) {
  const bool asked =
      std::any_of(spec.entries.begin(), spec.entries.end(),
                  [](const mounts::Entry& entry) { return entry.options.id_map.asked; });
  if (!asked || (found.record.namespaces & CLONE_NEWUSER) == 0) return {};
  const auto read = [&](std::string_view file) {
    const std::string path = fmt::format("/proc/{}/{}", found.record.init.pid, file);
    return id_map::from_text(sys::read_file(sys::FdRef::cwd(), path));
  };
  id_map::Plan map{.uids = read("uid_map"), .gids = read("gid_map")};
  // Otherwise the pid may have been another's by then.
  if (sys::has_ended(found.init)) throw Error(ErrorKind::state, "container not running");
  return map;
}

std::string_view fault_of(const mounts::Mount& mount) {
  if (mount.kind == mounts::Kind::remount) return "a remount cannot be taken back";
  if (mount.options.copy_link) return "a copy of a link is no mount";
  // Its ids are mapped by a process that sees the mount and has the host's rights, which the one
  // that attaches it does not have in a user namespace.
  if (mount.kind == mounts::Kind::inner_bind && mount.id_map) {
    return "the ids of what lies in the container's own tree are mapped when it is created";
  }
  // It would show the pid namespace that this process is in, which is the host's.
  if (mount.type == "proc") return "a procfs is mounted when the container is created";
  return {};
}

mounts::Plan plan_hot(const mounts::Spec& spec, const Found& found) {
  const Record& record = found.record;
  const namespaces::Plan namespaces{.create = record.namespaces};
  const rootfs::Plan rootfs{.path = record.rootfs};
  const id_map::Plan id_map = id_map_of(spec, found);
  mounts::Plan plan = mounts::plan(spec,
                                   {.namespaces = namespaces,
                                    .bundle = record.bundle,
                                    .cgroup_directory = record.cgroup_directory,
                                    .rootfs = rootfs,
                                    .id_map = id_map},
                                   probe_host({}));
  for (const mounts::Mount& mount : plan.mounts) {
    const std::string_view why = fault_of(mount);
    if (why.empty()) continue;
    Error error(ErrorKind::unsupported, fmt::format("{}: not supported: {}", mount.pointer, why));
    error.set_field(mount.pointer);
    throw error;
  }
  return plan;
}

void attach_all(const mounts::Plan& plan, mounts::Sources sources, const Inside& inside) {
  Undo undo;
  mounts::Made made;
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    sys::Fd attached = mounts::apply_one(plan.mounts[i], inside.root, std::move(sources[i]));
    if (plan.mounts[i].late_readonly) made.late_readonly.push_back(sys::duplicate(attached));
    const auto mount = std::make_shared<sys::Fd>(std::move(attached));
    undo.add([mount, &inside] { sys::detach(inside.own_descriptors, *mount); });
  }
  mounts::finish_in_init(made);
  undo.commit();
}

struct Place {
  std::string path;
  std::string pointer;
};

// The deepest first: with a mount goes what is mounted below it.
std::vector<Place> places_of(const mounts::Spec& spec) {
  std::vector<Place> places;
  for (const mounts::Entry& entry : spec.entries) {
    places.push_back({sys::clean_path(entry.destination), entry.pointer});
  }
  std::sort(places.begin(), places.end(),
            [](const Place& one, const Place& other) { return one.path > other.path; });
  const auto twin = std::adjacent_find(
      places.begin(), places.end(),
      [](const Place& one, const Place& other) { return one.path == other.path; });
  if (twin == places.end()) return places;
  throw Error(ErrorKind::spec, fmt::format("\"{}\" is named twice", twin->path));
}

Error refusal(const Place& place, std::string_view why) {
  Error error(ErrorKind::spec,
              fmt::format("{}/destination: \"{}\" {}", place.pointer, place.path, why));
  error.set_field(place.pointer + "/destination");
  return error;
}

// With links followed it would be the container that chooses what is unmounted: a mask, say.
sys::Fd find_mount(const Place& place, const sys::Root& root) {
  if (place.path == "/") throw refusal(place, "is the container's root");
  std::optional<sys::Fd> found = root.find_without_links(place.path, O_PATH);
  if (!found) throw refusal(place, "does not exist in the container without symbolic links");
  if (!sys::is_mount_root(*found)) throw refusal(place, "is not a mount point");
  return std::move(*found);
}

void detach_all(const std::vector<Place>& places, const Inside& inside) {
  std::vector<sys::Fd> found;
  for (const Place& place : places) found.push_back(find_mount(place, inside.root));
  for (const sys::Fd& mount : found) sys::detach(inside.own_descriptors, mount);
}

mounts::Spec read_file(const std::string& file) {
  const spec::Document document(file, sys::read_file(sys::FdRef::cwd(), file, kMaxFile));
  return mounts::read_list(document.top());
}

}  // namespace
}  // namespace stages

void add_mounts(const GlobalOptions& global, const std::string& id, const std::string& file) {
  const mounts::Spec spec = stages::read_file(file);
  stages::prepare_own_process();
  const stages::Found found = stages::find_container(global, id);
  const mounts::Plan plan = stages::plan_hot(spec, found);
  mounts::Sources sources = mounts::open_sources(plan);
  stages::run_inside(found, [&](const stages::Inside& inside) {
    stages::attach_all(plan, std::move(sources), inside);
  });
}

void remove_mounts(const GlobalOptions& global, const std::string& id, const std::string& file) {
  const mounts::Spec spec = stages::read_file(file);
  const std::vector<stages::Place> places = stages::places_of(spec);
  stages::prepare_own_process();
  const stages::Found found = stages::find_container(global, id);
  stages::run_inside(found,
                     [&](const stages::Inside& inside) { stages::detach_all(places, inside); });
}

}  // namespace tare
