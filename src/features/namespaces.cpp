#include "features/namespaces.hpp"

#include <fmt/core.h>
#include <linux/sched.h>

#include <algorithm>

#include "sys/namespace.hpp"
#include "sys/network.hpp"
#include "sys/process.hpp"

namespace tare::namespaces {
namespace {

constexpr spec::Word<Type> kTypes[] = {
    {"user", Type::user},       {"mount", Type::mount}, {"pid", Type::pid},
    {"network", Type::network}, {"ipc", Type::ipc},     {"uts", Type::uts},
    {"cgroup", Type::cgroup},   {"time", Type::time},
};

// Mount last of those that do not change what we are allowed to do: it takes away the host's paths.
constexpr Type kJoinOrder[] = {Type::ipc,    Type::uts,  Type::network, Type::pid,
                               Type::cgroup, Type::time, Type::mount};

Entry read_entry(const spec::Reader& item, const std::string& pointer) {
  Entry entry{.type = item.at("type").one_of("namespace type", kTypes),
              .path = item.string_or("path", ""),
              .pointer = pointer};
  if (!entry.path.empty() && !entry.path.starts_with('/')) {
    throw item.at("path").error(
        fmt::format("the path of a namespace must be absolute: \"{}\"", entry.path));
  }
  return entry;
}

Target open_one(const Entry& entry) {
  std::optional<sys::Fd> file = sys::open_namespace(entry.path);
  if (!file) {
    throw Error(ErrorKind::spec, fmt::format("\"{}\" is no namespace file", entry.path));
  }
  const std::uint64_t type = sys::namespace_type(*file);
  if (type != clone_flag(entry.type)) {
    const auto* const actual = std::ranges::find_if(
        kTypes, [type](const auto& word) { return clone_flag(word.value) == type; });
    throw Error(ErrorKind::spec, fmt::format("\"{}\" is a namespace of type {}, not {}", entry.path,
                                             actual != std::end(kTypes) ? actual->name : "unknown",
                                             to_string(entry.type)));
  }
  return {.type = entry.type, .file = std::move(*file)};
}

}  // namespace

std::string_view to_string(Type type) noexcept {
  for (const auto& word : kTypes) {
    if (word.value == type) return word.name;
  }
  return "unknown";
}

std::uint64_t clone_flag(Type type) noexcept {
  switch (type) {
    case Type::user:
      return CLONE_NEWUSER;
    case Type::mount:
      return CLONE_NEWNS;
    case Type::pid:
      return CLONE_NEWPID;
    case Type::network:
      return CLONE_NEWNET;
    case Type::ipc:
      return CLONE_NEWIPC;
    case Type::uts:
      return CLONE_NEWUTS;
    case Type::cgroup:
      return CLONE_NEWCGROUP;
    case Type::time:
      return CLONE_NEWTIME;
  }
  return 0;
}

bool Plan::creates(Type type) const noexcept {
  return (create & clone_flag(type)) != 0;
}

bool Plan::joins(Type type) const noexcept {
  return std::ranges::any_of(join, [type](const Entry& entry) { return entry.type == type; });
}

std::uint64_t Plan::all() const noexcept {
  std::uint64_t flags = create;
  for (const Entry& entry : join) flags |= clone_flag(entry.type);
  return flags;
}

bool Plan::needs_joiner() const noexcept {
  return joins(Type::user) || joins(Type::pid) || (!join.empty() && creates(Type::user));
}

Spec read(const spec::Reader& linux_object) {
  Spec spec;
  const std::optional<spec::Reader> list = linux_object.find("namespaces");
  if (!list) return spec;
  // Asked for once: to find out where a value lies is to look through the whole document.
  const std::string pointer = list->pointer();
  for (const spec::Reader& item : list->items()) {
    Entry entry = read_entry(item, fmt::format("{}/{}", pointer, spec.entries.size()));
    if (std::ranges::any_of(spec.entries,
                            [&entry](const Entry& other) { return other.type == entry.type; })) {
      // runc's words; callers and its own tests know them.
      throw item.error(
          fmt::format("malformed spec file: duplicated ns \"{}\"", to_string(entry.type)));
    }
    spec.entries.push_back(std::move(entry));
  }
  return spec;
}

Plan plan(const Spec& spec, const Host& host) {
  Plan plan;
  const auto find = [&spec](Type type) {
    return std::ranges::find_if(
        spec.entries, [type](const Entry& e) { return e.type == type && !e.path.empty(); });
  };
  for (const Entry& entry : spec.entries) {
    if (entry.path.empty()) plan.create |= clone_flag(entry.type);
  }
  for (const Type type : kJoinOrder) {
    if (const auto entry = find(type); entry != spec.entries.end()) plan.join.push_back(*entry);
  }
  // Joining a user namespace trades our capabilities for those in it (user_namespaces(7)). Root has
  // had what joining anything takes, whoever owns it, and may not have it afterwards: user last. A
  // plain user has nothing before and, where the others belong to that user namespace, all after:
  // user first.
  if (const auto user = find(Type::user); user != spec.entries.end()) {
    plan.join.insert(host.euid == 0 ? plan.join.end() : plan.join.begin(), *user);
  }
  return plan;
}

std::vector<Target> open_in_parent(const Plan& plan) {
  std::vector<Target> targets;
  for (const Entry& entry : plan.join) {
    asked_by([&] { return entry.pointer + "/path"; },
             [&] {
               Target target = open_one(entry);
               // Every other type can be joined from within itself; for this one the kernel says
               // EINVAL.
               if (entry.type == Type::user && sys::is_own_namespace(target.file, "user")) return;
               targets.push_back(std::move(target));
             });
  }
  return targets;
}

void join(const std::vector<Target>& targets) {
  for (const Target& target : targets) {
    in_context(
        [&] { return fmt::format("join the {} namespace", to_string(target.type)); },
        [&] { sys::join_namespaces(target.file, static_cast<int>(clone_flag(target.type))); });
  }
}

void apply_in_parent(sys::FdRef network) {
  in_context([] { return std::string("bring up the loopback device"); },
             [&] { sys::bring_up(network, "lo"); });
}

void explain(const Plan& plan, Explain& out) {
  for (const auto& [name, type] : kTypes) {
    if (plan.creates(type)) out.add("namespaces", fmt::format("a new {} namespace", name));
  }
  for (const Entry& entry : plan.join) {
    out.add("namespaces",
            fmt::format("join the {} namespace {}", to_string(entry.type), entry.path),
            entry.pointer);
  }
  if (plan.creates(Type::network))
    out.add("namespaces", "bring up lo in the new network namespace");
  if (plan.needs_joiner()) {
    out.add(
        "namespaces",
        "a process between parent and init joins them: what is joined takes effect in its child");
  }
}

}  // namespace tare::namespaces
