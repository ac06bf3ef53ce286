#include "features/scheduler.hpp"

#include <fmt/core.h>
#include <linux/sched.h>

#include <cerrno>

namespace tare::scheduler {
namespace {

constexpr char kField[] = "/process/scheduler";

constexpr spec::Word<std::uint32_t> kPolicies[] = {
    {"SCHED_OTHER", SCHED_NORMAL}, {"SCHED_FIFO", SCHED_FIFO}, {"SCHED_RR", SCHED_RR},
    {"SCHED_BATCH", SCHED_BATCH},  {"SCHED_IDLE", SCHED_IDLE}, {"SCHED_DEADLINE", SCHED_DEADLINE},
};

constexpr spec::Word<std::uint64_t> kFlags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
    {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
    {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
    {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
    {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
    {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
};

// MIN_NICE, MAX_NICE and MAX_RT_PRIO of the kernel's linux/sched/prio.h.
constexpr std::int32_t kLowestNice = -20;
constexpr std::int32_t kHighestNice = 19;
constexpr std::uint32_t kHighestPriority = 99;

// __checkparam_dl, kernel/sched/deadline.c: the scheduler computes in units of 2^10 ns, and keeps
// the top bit for itself.
constexpr std::uint64_t kShortestRuntimeNs = 1024;
constexpr std::uint64_t kLongestNs = (1ULL << 63U) - 1;

std::string_view name_of(std::uint32_t policy) {
  for (const auto& word : kPolicies) {
    if (word.value == policy) return word.name;
  }
  return "SCHED_?";
}

bool is_fair(std::uint32_t policy) {
  return policy == SCHED_NORMAL || policy == SCHED_BATCH;
}

bool is_real_time(std::uint32_t policy) {
  return policy == SCHED_FIFO || policy == SCHED_RR;
}

std::uint32_t read_policy(const spec::Reader& object) {
  const std::optional<spec::Reader> field = object.find("policy");
  if (!field) throw object.error("scheduler policy is required");
  const std::string name = field->string();
  if (name.empty()) throw field->error("scheduler policy is required");
  for (const auto& word : kPolicies) {
    if (word.name == name) return word.value;
  }
  if (name == "SCHED_ISO") {
    throw field->error("SCHED_ISO is reserved in the kernel, and no version has it",
                       ErrorKind::unsupported);
  }
  throw field->error(fmt::format("invalid scheduler policy: \"{}\"", name));
}

std::uint64_t read_flags(const spec::Reader& object) {
  std::uint64_t flags = 0;
  const std::optional<spec::Reader> field = object.find("flags");
  if (!field) return flags;
  for (const spec::Reader& item : field->items()) flags |= item.one_of("scheduler flag", kFlags);
  return flags;
}

// Both are of one range for every policy, although only some make use of them.
void check_claims(const spec::Reader& object, const sys::Scheduling& wanted) {
  if (wanted.nice < kLowestNice || wanted.nice > kHighestNice) {
    throw object.at("nice").error(
        fmt::format("invalid scheduler.nice: {} when scheduler.policy is {}, expected {} to {}",
                    wanted.nice, name_of(wanted.policy), kLowestNice, kHighestNice));
  }
  if (!is_real_time(wanted.policy)) {
    if (wanted.priority == 0) return;
    throw object.at("priority")
        .error("scheduler.priority can only be specified for SchedFIFO or SchedRR policy");
  }
  if (wanted.priority >= 1 && wanted.priority <= kHighestPriority) return;
  throw object.error(fmt::format("{} needs a priority from 1 to {}, not {}", name_of(wanted.policy),
                                 kHighestPriority, wanted.priority));
}

void check_times(const spec::Reader& object, const sys::Scheduling& wanted) {
  if (wanted.policy != SCHED_DEADLINE) {
    if (wanted.runtime_ns == 0 && wanted.deadline_ns == 0 && wanted.period_ns == 0) return;
    throw object.error(
        "scheduler runtime/deadline/period can only be specified for SchedDeadline policy");
  }
  // A period that is not given is the deadline (sched(7)).
  const std::uint64_t period = wanted.period_ns == 0 ? wanted.deadline_ns : wanted.period_ns;
  const bool ordered = wanted.runtime_ns >= kShortestRuntimeNs &&
                       wanted.runtime_ns <= wanted.deadline_ns && wanted.deadline_ns <= period &&
                       period <= kLongestNs;
  if (ordered) return;
  throw object.error(fmt::format(
      "SCHED_DEADLINE needs {} <= runtime <= deadline <= period < 2^63 nanoseconds, found {}, {} "
      "and {}",
      kShortestRuntimeNs, wanted.runtime_ns, wanted.deadline_ns, wanted.period_ns));
}

bool needs_all_cpus(const Plan& plan) {
  return plan.scheduling->policy == SCHED_DEADLINE;
}

std::string hint_for(const Plan& plan, int number) {
  const std::uint32_t policy = plan.scheduling->policy;
  if (number == EPERM && needs_all_cpus(plan)) {
    return "SCHED_DEADLINE needs CAP_SYS_NICE, and a process that may run on every CPU of the "
           "machine or of its cpuset partition";
  }
  if (number == EPERM && is_real_time(policy)) {
    return "a real-time policy needs CAP_SYS_NICE or RLIMIT_RTPRIO, and real-time bandwidth for "
           "the "
           "cgroup (CONFIG_RT_GROUP_SCHED)";
  }
  if (number == EPERM)
    return "a nice value below the present one needs CAP_SYS_NICE or RLIMIT_NICE";
  if (number == EBUSY) return "the CPUs have no more SCHED_DEADLINE bandwidth to give";
  if (number == EINVAL && policy == SCHED_DEADLINE) {
    return "the period must be within kernel.sched_deadline_period_min_us and _max_us";
  }
  return {};
}

void set(const Plan& plan, pid_t pid) {
  asked_by([] { return kField; },
           [&] {
             try {
               sys::set_scheduling(pid, *plan.scheduling);
             } catch (Error& error) {
               error.set_hint(hint_for(plan, error.errno_value()));
               if (error.errno_value() == EPERM && needs_all_cpus(plan) && plan.cpus_limited) {
                 error.add_context("process scheduler can't be used together with AllowedCPUs");
               }
               throw;
             }
           });
}

}  // namespace

Spec read(const spec::Reader& process) {
  const std::optional<spec::Reader> field = process.find("scheduler");
  if (!field) return {};
  const sys::Scheduling wanted{
      .policy = read_policy(*field),
      .flags = read_flags(*field),
      .nice = field->find_integer<std::int32_t>("nice").value_or(0),
      .priority =
          static_cast<std::uint32_t>(field->find_integer<std::int32_t>("priority").value_or(0)),
      .runtime_ns = field->find_integer<std::uint64_t>("runtime").value_or(0),
      .deadline_ns = field->find_integer<std::uint64_t>("deadline").value_or(0),
      .period_ns = field->find_integer<std::uint64_t>("period").value_or(0),
  };
  check_claims(*field, wanted);
  check_times(*field, wanted);
  return {.scheduling = wanted};
}

Plan plan(const Spec& spec, const Host& host, const Context& context) {
  if (!spec.scheduling) return {};
  const bool may_fork = spec.scheduling->policy != SCHED_DEADLINE ||
                        (spec.scheduling->flags & SCHED_FLAG_RESET_ON_FORK) != 0;
  if (context.forks_at_start && !may_fork) {
    // sched_fork, kernel/sched/core.c, says EAGAIN.
    throw Error(ErrorKind::spec,
                "config.json /process/scheduler: a process of SCHED_DEADLINE cannot fork, so it "
                "cannot run hooks.startContainer",
                "add SCHED_FLAG_RESET_ON_FORK to scheduler.flags");
  }
  return {.scheduling = spec.scheduling,
          .from_parent = !host.rootless,
          .cpus_limited = context.cpus_limited};
}

void apply_in_parent(const Plan& plan, pid_t pid) {
  if (plan.scheduling && plan.from_parent) set(plan, pid);
}

void apply_in_process(const Plan& plan) {
  if (plan.scheduling && !plan.from_parent) set(plan, 0);
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.scheduling) return;
  const sys::Scheduling& wanted = *plan.scheduling;
  std::string claim;
  if (is_fair(wanted.policy)) claim = fmt::format(", nice {}", wanted.nice);
  if (is_real_time(wanted.policy)) claim = fmt::format(", priority {}", wanted.priority);
  if (wanted.policy == SCHED_DEADLINE) {
    claim = fmt::format(", {} ns of CPU time by {} ns in every {} ns", wanted.runtime_ns,
                        wanted.deadline_ns,
                        wanted.period_ns == 0 ? wanted.deadline_ns : wanted.period_ns);
  }
  for (const auto& [name, bit] : kFlags) {
    if ((wanted.flags & bit) != 0) claim += fmt::format(", {}", name);
  }
  out.add("scheduler",
          fmt::format("set {}{}{}", name_of(wanted.policy), claim,
                      plan.from_parent ? "" : ", by the process itself: the caller is rootless"),
          kField);
}

}  // namespace tare::scheduler
