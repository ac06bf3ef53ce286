#include "features/rlimits.hpp"

#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "sys/credentials.hpp"

namespace tare::rlimits {
namespace {

// The names of getrlimit(2); the specification takes them from there.
constexpr spec::Word<int> kResources[] = {
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

// Only for resources that came from the table.
std::string_view name_of(int resource) {
  for (const auto& word : kResources) {
    if (word.value == resource) return word.name;
  }
  return "RLIMIT_?";
}

std::string shown(std::uint64_t limit) {
  return limit == RLIM64_INFINITY ? "unlimited" : fmt::format("{}", limit);
}

Limit read_limit(const spec::Reader& item) {
  Limit limit{.resource = item.at("type").one_of("rlimit", kResources),
              .soft = item.at("soft").integer<std::uint64_t>(),
              .hard = item.at("hard").integer<std::uint64_t>(),
              .pointer = item.pointer()};
  if (limit.soft > limit.hard) {
    throw item.error(fmt::format("the soft limit {} of {} is above the hard limit {}",
                                 shown(limit.soft), name_of(limit.resource), shown(limit.hard)));
  }
  return limit;
}

// Why the kernel said EPERM, which it does for two reasons (kernel/sys.c, do_prlimit).
std::string refusal(const Limit& limit, pid_t pid) {
  const std::uint64_t hard = sys::resource_limit(pid, limit.resource).hard;
  if (limit.hard > hard) {
    return fmt::format("raising the hard limit of {} from {} to {} needs CAP_SYS_RESOURCE",
                       name_of(limit.resource), shown(hard), shown(limit.hard));
  }
  return fmt::format("{} may not be above fs.nr_open", name_of(limit.resource));
}

void set(const Limit& limit, pid_t pid) {
  try {
    sys::set_resource_limit(pid, limit.resource, {.soft = limit.soft, .hard = limit.hard});
  } catch (Error& error) {
    // The number in the call says little; the name is what config.json has.
    error.add_context(fmt::format("set {}", name_of(limit.resource)));
    error.set_field(limit.pointer);
    if (error.errno_value() == EPERM) error.set_hint(refusal(limit, pid));
    throw;
  }
}

}  // namespace

Spec read(const spec::Reader& process) {
  Spec spec;
  const std::optional<spec::Reader> field = process.find("rlimits");
  if (!field) return spec;
  for (const spec::Reader& item : field->items()) {
    Limit limit = read_limit(item);
    const bool repeated =
        std::any_of(spec.limits.begin(), spec.limits.end(),
                    [&](const Limit& earlier) { return earlier.resource == limit.resource; });
    // "The runtime MUST generate an error" for entries of the same type (config.md, rlimits).
    if (repeated) throw item.error(fmt::format("duplicate rlimit {}", name_of(limit.resource)));
    spec.limits.push_back(std::move(limit));
  }
  return spec;
}

Plan plan(const Spec& spec, bool user_namespace) {
  return {.limits = spec.limits, .from_parent = user_namespace};
}

void apply(const Plan& plan, pid_t pid) {
  for (const Limit& limit : plan.limits) set(limit, pid);
}

void explain(const Plan& plan, Explain& out) {
  for (const Limit& limit : plan.limits) {
    out.add("rlimits",
            fmt::format("set {} to {} (soft) and {} (hard){}", name_of(limit.resource),
                        shown(limit.soft), shown(limit.hard),
                        plan.from_parent ? " from outside the user namespace" : ""),
            limit.pointer);
  }
}

}  // namespace tare::rlimits
