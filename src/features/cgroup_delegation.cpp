#include "features/cgroup_delegation.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/mount.h>

#include <algorithm>
#include <cerrno>

#include "features/cgroup_controllers.hpp"
#include "sys/cgroup_file.hpp"
#include "sys/file.hpp"
#include "sys/kernel.hpp"
#include "sys/path.hpp"

namespace tare::cgroup_delegation {
namespace {

constexpr const char* kPointer = "/annotations/run.oci.delegate-cgroup";
constexpr unsigned kDirectoryMode = 0755;

// The kernel's list, and what it was before it had one (cgroups(7), "Delegation").
constexpr const char* kDelegateList = "/sys/kernel/cgroup/delegate";
constexpr const char* kDelegateDefault = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

constexpr uid_t kUnchanged = static_cast<uid_t>(-1);

// runc's rule: a container that sees its own cgroup as the root of the tree, and may write to it.
bool mounts_own_writable(const Context& context) {
  if (!context.namespaces.creates(namespaces::Type::cgroup)) return false;
  return std::ranges::any_of(context.mounts.entries, [](const mounts::Entry& entry) {
    const std::uint64_t set = entry.options.set | entry.options.recursive_set;
    return (entry.type == "cgroup" || entry.type == "cgroup2") &&
           sys::clean_path(entry.destination) == "/sys/fs/cgroup" && (set & MOUNT_ATTR_RDONLY) == 0;
  });
}

Error annotation_error(std::string text) {
  Error error(ErrorKind::spec, "config.json " + std::string(kPointer) + ": " + std::move(text));
  error.set_field(kPointer);
  return error;
}

std::string read_subgroup(const Context& context) {
  const std::string given = subgroup_of(context.annotations, !context.cgroup.unit.name.empty());
  if (given.empty()) return {};
  if (("/" + given + "/").find("/../") != std::string::npos) {
    throw annotation_error(fmt::format("invalid \"..\" component in \"{}\"", given));
  }
  std::string path = sys::clean_path(given).substr(1);
  if (path.empty()) throw annotation_error("it names no cgroup below the container's");
  if (!context.cgroup.enabled()) {
    throw annotation_error("the container has no cgroup of its own to delegate from");
  }
  return path;
}

void give(const sys::Fd& directory, uid_t uid, gid_t gid) {
  const std::optional<sys::Fd> list = sys::find_at(sys::FdRef::cwd(), kDelegateList, O_RDONLY);
  sys::change_owner(directory, uid, gid);
  for (const std::string& name : words_of(list ? sys::read_all(*list) : kDelegateDefault)) {
    // Files of controllers that are not enabled here are not there.
    const std::optional<sys::Fd> file = sys::find_at(directory, name, O_PATH | O_NOFOLLOW);
    if (file) sys::change_owner(*file, uid, gid);
  }
}

// What the container's cgroup has is passed on, so that the container can limit with it in turn. A
// controller that refuses has a process in the way, or can act on whole cgroups only.
void pass_controllers_on(const sys::Fd& directory) {
  const std::string all = sys::read_value(directory, "cgroup.controllers").value_or("");
  for (const std::string& name : words_of(all)) {
    sys::try_write_value(directory, "cgroup.subtree_control", "+" + name);
  }
}

void move_below(const Plan& plan, const sys::Fd& directory, const id_map::Plan& ids, pid_t pid) {
  std::vector<sys::Fd> way;
  way.push_back(sys::duplicate(directory));
  std::string_view left = plan.subgroup;
  while (!left.empty()) {
    const std::string name(left.substr(0, left.find('/')));
    left.remove_prefix(std::min(name.size() + 1, left.size()));
    sys::make_directory(way.back(), name, kDirectoryMode);
    way.push_back(sys::open_at(way.back(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }
  // First the process, then the controllers: they are not passed on where one lives.
  sys::write_value(way.back(), "cgroup.procs", std::to_string(pid));
  for (std::size_t i = 0; i + 1 < way.size(); ++i) pass_controllers_on(way[i]);
  if (ids.uids.empty() || ids.gids.empty()) return;
  give(way.back(), id_map::to_host(ids.uids, 0).value_or(kUnchanged),
       id_map::to_host(ids.gids, 0).value_or(kUnchanged));
}

}  // namespace

std::string subgroup_of(const std::map<std::string, std::string>& annotations, bool in_scope) {
  auto found = annotations.find(kAnnotation);
  if (found == annotations.end() && in_scope) found = annotations.find(kScopeAnnotation);
  return found == annotations.end() ? "" : found->second;
}

Plan plan(const Context& context, const Host& host) {
  Plan plan{.subgroup = read_subgroup(context)};
  if (!context.cgroup.enabled()) return plan;
  const bool writable = mounts_own_writable(context);
  plan.wants_controllers = context.cgroup.unit.name.empty() && (writable || !plan.subgroup.empty());
  if (!plan.subgroup.empty() || !writable) return plan;
  if (host.euid != 0) return plan;
  // Without a user namespace root has what it needs.
  if (context.uid == 0 && !context.namespaces.has(namespaces::Type::user)) return plan;
  plan.delegates_own = true;
  plan.uid = context.uid;
  return plan;
}

void prepare_in_parent(const Plan& plan, const cgroup::Plan& cgroup) {
  if (plan.wants_controllers) cgroup_controllers::enable_all(cgroup);
}

void apply_in_parent(const Plan& plan, const sys::Fd& directory, const id_map::Plan& ids,
                     pid_t pid) {
  if (!plan.enabled() || !directory) return;
  in_context([] { return std::string("delegate the container's cgroup"); },
             [&] {
               if (!plan.subgroup.empty()) {
                 return asked_by([] { return std::string(kPointer); },
                                 [&] { move_below(plan, directory, ids, pid); });
               }
               const uid_t owner = id_map::to_host(ids.uids, plan.uid).value_or(kUnchanged);
               if (owner != sys::effective_user()) give(directory, owner, kUnchanged);
             });
}

void undo(const Plan& plan, const std::string& directory) {
  if (plan.subgroup.empty()) return;
  cgroup::remove(directory + "/" + plan.subgroup.substr(0, plan.subgroup.find('/')));
}

void explain(const Plan& plan, Explain& out) {
  if (plan.wants_controllers) {
    out.add("cgroup_delegation",
            "have every controller passed on to the container's cgroup that can be");
  }
  if (!plan.subgroup.empty()) {
    out.add("cgroup_delegation",
            fmt::format("put init into the cgroup {} below the container's, and give it to the "
                        "container's root",
                        plan.subgroup),
            kPointer);
  } else if (plan.delegates_own) {
    out.add(
        "cgroup_delegation",
        fmt::format("give the container's cgroup, which is mounted writable in it, to its uid {}",
                    plan.uid));
  }
}

}  // namespace tare::cgroup_delegation
