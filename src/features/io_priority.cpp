#include "features/io_priority.hpp"

#include <fmt/core.h>

#include <cerrno>

#include "sys/attributes.hpp"

namespace tare::io_priority {
namespace {

constexpr char kField[] = "/process/ioPriority";

// Numbers of linux/ioprio.h, which is no C++.
constexpr spec::Word<int> kClasses[] = {
    {"IOPRIO_CLASS_RT", 1},
    {"IOPRIO_CLASS_BE", 2},
    {"IOPRIO_CLASS_IDLE", 3},
};

// The highest of eight levels (IOPRIO_NR_LEVELS, linux/ioprio.h; IOPRIO_BE_NR before 5.15).
constexpr int kLastLevel = 7;

std::string_view name_of(int priority_class) {
  for (const auto& word : kClasses) {
    if (word.value == priority_class) return word.name;
  }
  return "IOPRIO_CLASS_?";
}

int read_class(const spec::Reader& field) {
  const std::string name = field.string();
  for (const auto& word : kClasses) {
    if (word.name == name) return word.value;
  }
  throw field.error(fmt::format("invalid ioPriority.Class: \"{}\"", name));
}

int read_level(const spec::Reader& field) {
  const int level = field.integer<int>();
  if (level >= 0 && level <= kLastLevel) return level;
  throw field.error(
      fmt::format("invalid ioPriority.Priority: {}, expected 0 to {}", level, kLastLevel));
}

void set(const Plan& plan, pid_t pid) {
  asked_by([] { return kField; },
           [&] {
             try {
               sys::set_io_priority(pid, plan.priority->priority_class, plan.priority->level);
             } catch (Error& error) {
               if (error.errno_value() == EPERM) {
                 error.set_hint("IOPRIO_CLASS_RT needs CAP_SYS_NICE or CAP_SYS_ADMIN");
               }
               throw;
             }
           });
}

}  // namespace

Spec read(const spec::Reader& process) {
  const std::optional<spec::Reader> field = process.find("ioPriority");
  if (!field) return {};
  // Required, says the specification; callers that leave the level out mean 0, as with runc.
  const std::optional<spec::Reader> level = field->find("priority");
  return {.priority = Priority{.priority_class = read_class(field->at("class")),
                               .level = level ? read_level(*level) : 0}};
}

Plan plan(const Spec& spec, const Host& host) {
  if (!spec.priority) return {};
  return {.priority = spec.priority, .from_parent = !host.rootless};
}

void apply_in_parent(const Plan& plan, pid_t pid) {
  if (plan.priority && plan.from_parent) set(plan, pid);
}

void apply_in_process(const Plan& plan) {
  if (plan.priority && !plan.from_parent) set(plan, 0);
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.priority) return;
  out.add("io_priority",
          fmt::format("set {}, level {}{}", name_of(plan.priority->priority_class),
                      plan.priority->level,
                      plan.from_parent ? "" : ", by the process itself: the caller is rootless"),
          kField);
}

}  // namespace tare::io_priority
