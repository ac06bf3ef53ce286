#include "features/memory_policy.hpp"

#include <fmt/core.h>
#include <linux/mempolicy.h>

#include <cerrno>

#include "features/number_list.hpp"

namespace tare::memory_policy {
namespace {

constexpr char kField[] = "/linux/memoryPolicy";

constexpr int kWeightedInterleave = 6;  // MPOL_WEIGHTED_INTERLEAVE, of Linux 6.9

constexpr spec::Word<int> kModes[] = {
    {"MPOL_DEFAULT", MPOL_DEFAULT},       {"MPOL_BIND", MPOL_BIND},
    {"MPOL_INTERLEAVE", MPOL_INTERLEAVE}, {"MPOL_WEIGHTED_INTERLEAVE", kWeightedInterleave},
    {"MPOL_PREFERRED", MPOL_PREFERRED},   {"MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY},
    {"MPOL_LOCAL", MPOL_LOCAL},
};

constexpr spec::Word<int> kFlags[] = {
    {"MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING},
    {"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES},
    {"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES},
};

// The kernel takes a mask of a page at most (get_nodes, mm/mempolicy.c).
constexpr unsigned kHighestNode = 32'767;

template <std::size_t N>
std::vector<std::string> names_of(const spec::Word<int> (&words)[N]) {
  std::vector<std::string> names;
  for (const auto& word : words) names.emplace_back(word.name);
  return names;
}

int read_mode(const spec::Reader& object) {
  const std::optional<spec::Reader> field = object.find("mode");
  const std::string name = field ? field->string() : "";
  for (const auto& word : kModes) {
    if (word.name == name) return word.value;
  }
  throw(field ? *field : object).error(fmt::format("invalid memory policy mode \"{}\"", name));
}

int read_flag(const spec::Reader& item) {
  const std::string name = item.string();
  for (const auto& word : kFlags) {
    if (word.name == name) return word.value;
  }
  throw item.error(fmt::format("invalid memory policy flag \"{}\"", name));
}

int read_flags(const spec::Reader& object) {
  int flags = 0;
  const std::optional<spec::Reader> list = object.find("flags");
  if (!list) return flags;
  for (const spec::Reader& item : list->items()) flags |= read_flag(item);
  return flags;
}

std::string_view name_of(int mode) {
  for (const auto& word : kModes) {
    if (word.value == mode) return word.name;
  }
  return "MPOL_?";
}

// mpol_new, mm/mempolicy.c. With MPOL_PREFERRED no node is the local one.
void check_nodes(const spec::Reader& object, const Plan& plan) {
  const bool takes_none = plan.mode == MPOL_DEFAULT || plan.mode == MPOL_LOCAL;
  if (takes_none && !plan.nodes.empty()) {
    throw object.error(fmt::format("memory policy mode requires 0 nodes but got {}: {}",
                                   number_list::count(plan.nodes), name_of(plan.mode)));
  }
  const bool needs_one = !takes_none && plan.mode != MPOL_PREFERRED;
  if (needs_one && plan.nodes.empty()) {
    throw object.error(fmt::format("memory policy mode requires at least one node but got 0: {}",
                                   name_of(plan.mode)));
  }
}

// sanitize_mpol_flags and mpol_new, mm/mempolicy.c.
void check_flags(const spec::Reader& object, const Plan& plan) {
  constexpr int kBoth = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES;
  if ((plan.flags & kBoth) == kBoth) {
    throw object.error("MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other");
  }
  if ((plan.flags & kBoth) != 0 && plan.nodes.empty()) {
    throw object.error("MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES need nodes to act on");
  }
  const bool balances = (plan.flags & MPOL_F_NUMA_BALANCING) != 0;
  if (balances && plan.mode != MPOL_BIND && plan.mode != MPOL_PREFERRED_MANY) {
    throw object.error(
        fmt::format("MPOL_F_NUMA_BALANCING is for MPOL_BIND and MPOL_PREFERRED_MANY, not for {}",
                    name_of(plan.mode)));
  }
}

}  // namespace

Plan read(const spec::Reader& linux_object) {
  const std::optional<spec::Reader> object = linux_object.find("memoryPolicy");
  if (!object) return {};
  Plan plan{.enabled = true, .mode = read_mode(*object), .flags = read_flags(*object)};
  if (const std::optional<spec::Reader> nodes = object->find("nodes")) {
    plan.nodes = number_list::read(*nodes, "invalid memory policy nodes", kHighestNode);
  }
  check_nodes(*object, plan);
  check_flags(*object, plan);
  return plan;
}

void apply(const Plan& plan) {
  if (!plan.enabled) return;
  asked_by([] { return kField; },
           [&] {
             try {
               sys::set_memory_policy(plan.mode | plan.flags, plan.nodes);
             } catch (Error& error) {
               if (error.errno_value() == EINVAL && !plan.nodes.empty()) {
                 error.set_hint(
                     fmt::format("one of the nodes {} must have memory and be in the cpuset, none "
                                 "may be above the kernel's last, and the mode must be known to it",
                                 number_list::shown(plan.nodes)));
               }
               throw;
             }
           });
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.enabled) return;
  std::string text = fmt::format("set {}", name_of(plan.mode));
  if (!plan.nodes.empty()) text += fmt::format(" on nodes {}", number_list::shown(plan.nodes));
  for (const auto& [name, bit] : kFlags) {
    if ((plan.flags & bit) != 0) text += fmt::format(", {}", name);
  }
  out.add("memory_policy", text, kField);
}

std::vector<std::string> known_modes() {
  return names_of(kModes);
}

std::vector<std::string> known_flags() {
  return names_of(kFlags);
}

}  // namespace tare::memory_policy
