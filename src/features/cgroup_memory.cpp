#include "features/cgroup_memory.hpp"

namespace tare::cgroup_memory {
namespace {

using cgroup_resources::Base;
using cgroup_resources::MemoryLimits;
using cgroup_resources::Spec;
using spec::Reader;

// In config.json these come from cgroup v1, where -1 lifts a limit and 0 is "not set".
constexpr std::int64_t kUnlimited = -1;

class Amount {
 public:
  // The member `key` of the object, in bytes.
  Amount(const Reader& object, std::string_view key) {
    const std::optional<Reader> member = object.find(key);
    if (!member) return;
    value_ = member->integer<std::int64_t>(kUnlimited);
    pointer_ = member->pointer();
  }
  std::int64_t value() const noexcept { return value_; }
  const std::string& pointer() const noexcept { return pointer_; }
  bool is_set() const noexcept { return value_ != 0; }

 private:
  std::int64_t value_ = 0;
  std::string pointer_{};
};

std::string text_of(std::int64_t bytes) {
  return bytes < 0 ? "max" : std::to_string(bytes);
}

// memory.swap is memory and swap together; cgroup v2 limits swap alone. The cases and their words
// are runc's. Nothing where no swap limit is set.
std::optional<std::string> swap_alone(const Reader& memory, const MemoryLimits& limits) {
  if (limits.swap_bytes == 0) {
    if (limits.limit_bytes != kUnlimited) return std::nullopt;
    return "max";  // "unlimited" meant both in cgroup v1
  }
  if (limits.swap_bytes == kUnlimited || limits.limit_bytes == kUnlimited) {
    return text_of(limits.swap_bytes);
  }
  if (limits.limit_bytes == 0) {
    throw memory.error("unable to set swap limit without memory limit");
  }
  if (limits.swap_bytes < limits.limit_bytes) {
    throw memory.error("memory+swap limit should be >= memory limit");
  }
  return std::to_string(limits.swap_bytes - limits.limit_bytes);
}

// What holds afterwards. A limit that is lifted takes the swap limit with it, unless that is given
// too.
MemoryLimits merged(const Amount& limit, const Amount& swap, const MemoryLimits& base) {
  MemoryLimits limits = base;
  if (limit.is_set()) limits.limit_bytes = limit.value();
  if (limit.value() == kUnlimited) limits.swap_bytes = 0;
  if (swap.is_set()) limits.swap_bytes = swap.value();
  return limits;
}

void add_swap(const Reader& memory, const Amount& limit, const Amount& swap, Spec& spec) {
  if (!limit.is_set() && !swap.is_set()) return;
  const std::optional<std::string> value = swap_alone(memory, spec.memory);
  if (!value) return;
  add(spec, "memory.swap.max", *value, swap.is_set() ? swap.pointer() : limit.pointer());
  // A kernel without swap accounting has no such file, and these two hold there without it.
  spec.writes.back().may_be_missing = *value == "max" || *value == "0";
}

void note_what_is_left_alone(const Reader& memory, Spec& spec) {
  constexpr std::pair<std::string_view, std::string_view> kKernel[] = {
      {"kernel", "kernel memory settings are ignored: it is a part of memory.max"},
      {"kernelTCP", "kernel memory settings are ignored: it is a part of memory.max"}};
  for (const auto& [key, why] : kKernel) {
    const std::optional<Reader> member = memory.find(key);
    if (!member || member->integer<std::int64_t>() <= 0) continue;
    spec.ignored.push_back({member->pointer(), std::string(why), true});
  }
  if (const std::optional<Reader> member = memory.find("swappiness")) {
    member->integer<std::uint64_t>();
    spec.ignored.push_back({member->pointer(), "cgroup v2 has no swappiness of a cgroup"});
  }
  for (const auto& [key, why] :
       {std::pair{"disableOOMKiller", "cgroup v2 cannot stop its out-of-memory killer"},
        {"useHierarchy", "in cgroup v2 limits hold for all that is below a cgroup"}}) {
    if (!memory.boolean_or(key, false)) continue;
    spec.ignored.push_back(
        {memory.at(key).pointer(), why, std::string_view(key) == "useHierarchy"});
  }
}

}  // namespace

void read(const Reader& resources, const Base& base, Spec& spec) {
  spec.memory = base.memory;
  const std::optional<Reader> found = resources.find("memory");
  if (!found) return;
  const Reader& memory = *found;
  const Amount limit(memory, "limit");
  const Amount swap(memory, "swap");
  const Amount reservation(memory, "reservation");
  spec.memory = merged(limit, swap, base.memory);
  add_swap(memory, limit, swap, spec);
  if (limit.is_set()) add(spec, "memory.max", text_of(limit.value()), limit.pointer());
  if (reservation.is_set()) {
    add(spec, "memory.low", text_of(reservation.value()), reservation.pointer());
  }
  note_what_is_left_alone(memory, spec);
  if (!memory.boolean_or("checkBeforeUpdate", false)) return;
  if (swap.value() > 0) spec.checks.push_back({"memory+swap limit", swap.value(), swap.pointer()});
  if (limit.value() > 0) spec.checks.push_back({"memory limit", limit.value(), limit.pointer()});
}

}  // namespace tare::cgroup_memory
