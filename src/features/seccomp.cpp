#include "features/seccomp.hpp"

#include <fmt/format.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "features/seccomp_notify.hpp"
#include "features/seccomp_table.hpp"
#include "sys/seccomp.hpp"

namespace tare::seccomp {
namespace {

using spec::Reader;
using spec::Word;

constexpr unsigned kArgumentCount = 6;
// The kernel cuts larger ones down to this (include/linux/err.h, MAX_ERRNO; kernel/seccomp.c).
constexpr std::uint32_t kHighestErrno = 4095;
// SECCOMP_RET_DATA: what a tracer is given.
constexpr std::uint32_t kHighestTraceData = 0xffff;

// In the order of seccomp.h. ERRNO and TRACE carry a number that is put in afterwards.
constexpr Word<std::uint32_t> kActions[] = {
    {"SCMP_ACT_KILL", SCMP_ACT_KILL},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
    {"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO},
    {"SCMP_ACT_TRACE", SECCOMP_RET_TRACE},
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
};

constexpr Word<int> kOperators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

// What the installed libseccomp has names for; LOONGARCH64, M68K, SH and SHEB need version 2.6.
constexpr Word<std::uint32_t> kArchitectures[] = {
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
};

constexpr Word<std::uint32_t> kFlags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", kWaitKillable},
};

template <typename T, std::size_t N>
std::vector<std::string> names_of(const Word<T> (&words)[N]) {
  // Sorted, as runc prints them.
  std::vector<std::string> names;
  for (const Word<T>& word : words) names.emplace_back(word.name);
  std::sort(names.begin(), names.end());
  return names;
}

// The action in `holder` under `action_key`, with its number. EPERM where none is given.
std::uint32_t read_action(const Reader& holder, std::string_view action_key,
                          std::string_view errno_key) {
  const std::uint32_t action = holder.at(action_key).one_of("seccomp action", kActions);
  const bool is_errno = action == SECCOMP_RET_ERRNO;
  const bool has_number = is_errno || action == SECCOMP_RET_TRACE;
  const std::optional<Reader> number = holder.find(errno_key);
  if (!number) return has_number ? action | EPERM : action;
  if (!has_number) {
    // "When the action doesn't support an errno, the runtime MUST print and error and fail."
    throw number->error(fmt::format("{} takes no errno", holder.at(action_key).string()));
  }
  return action | number->integer<std::uint32_t>(0, is_errno ? kHighestErrno : kHighestTraceData);
}

Argument read_argument(const Reader& item) {
  Argument argument{.index = item.at("index").integer<unsigned>(0, kArgumentCount - 1),
                    .value = item.at("value").integer<std::uint64_t>(),
                    .comparison = item.at("op").one_of("seccomp operator", kOperators)};
  argument.value_two = item.find_integer<std::uint64_t>("valueTwo").value_or(0);
  return argument;
}

// null stands for no arguments: podman's profiles have it everywhere.
std::vector<Argument> read_arguments(const Reader& item) {
  std::vector<Argument> arguments;
  const std::optional<Reader> field = item.find("args");
  if (!field) return arguments;
  for (const Reader& argument : field->items()) arguments.push_back(read_argument(argument));
  return arguments;
}

// The text is runc's: the parent is told of the listener by a write, which the filter would already
// hold up. One with conditions is refused as well: they might hold for ours.
void refuse_notify_of_write(const Reader& item, const Rule& rule) {
  if (rule.action != SCMP_ACT_NOTIFY) return;
  if (std::find(rule.names.begin(), rule.names.end(), "write") != rule.names.end()) {
    throw item.error("SCMP_ACT_NOTIFY cannot be used for the write syscall");
  }
}

Rule read_rule(const Reader& item) {
  Rule rule{.names = item.at("names").strings(),
            .action = read_action(item, "action", "errnoRet"),
            .arguments = read_arguments(item)};
  if (rule.names.empty()) throw item.error("names must contain at least one entry");
  if (std::ranges::any_of(rule.names, &std::string::empty)) {
    throw item.error("empty string is not a valid syscall");
  }
  refuse_notify_of_write(item, rule);
  return rule;
}

void read_flags(const Reader& seccomp, Spec& spec) {
  const std::optional<Reader> flags = seccomp.find("flags");
  if (!flags) return;
  // An empty list is a choice too: no flags, not even the default one.
  spec.default_flags = false;
  for (const Reader& flag : flags->items()) spec.flags |= flag.one_of("seccomp flag", kFlags);
}

// One rule per comparison where one argument is compared more than once. Both peers take such a
// rule for "any of these", since a list of accepted values could not be written otherwise.
void split_alternatives(Rule rule, std::vector<Rule>& out) {
  bool seen[kArgumentCount] = {};
  const bool repeats = std::any_of(
      rule.arguments.begin(), rule.arguments.end(),
      [&](const Argument& argument) { return std::exchange(seen[argument.index], true); });
  if (!repeats) return out.push_back(std::move(rule));
  for (const Argument& argument : rule.arguments) {
    out.push_back({.names = rule.names, .action = rule.action, .arguments = {argument}});
  }
}

// crun's annotation wants it; the first words of the error are crun's.
void refuse_unknown_names(const std::vector<Rule>& rules) {
  for (std::size_t rule = 0; rule < rules.size(); ++rule) {
    const std::vector<std::string>& names = rules[rule].names;
    for (std::size_t at = 0; at < names.size(); ++at) {
      if (is_known(names[at])) continue;
      const std::string field = fmt::format("/linux/seccomp/syscalls/{}/names/{}", rule, at);
      Error error(ErrorKind::spec,
                  fmt::format("config.json {}: invalid seccomp syscall `{}`", field, names[at]),
                  "the annotation run.oci.seccomp_fail_unknown_syscall forbids it");
      error.set_field(field);
      throw error;
    }
  }
}

std::string action_text(std::uint32_t action) {
  const std::uint32_t number = action & SECCOMP_RET_DATA;
  switch (action & SECCOMP_RET_ACTION_FULL) {
    case SCMP_ACT_KILL_PROCESS:
      return "kill the process";
    case SCMP_ACT_KILL_THREAD:
      return "kill the thread";
    case SCMP_ACT_TRAP:
      return "raise SIGSYS";
    case SECCOMP_RET_ERRNO:
      return fmt::format("fail with \"{}\"", errno_text(static_cast<int>(number)));
    case SECCOMP_RET_TRACE:
      return fmt::format("stop for a tracer ({})", number);
    case SCMP_ACT_ALLOW:
      return "allow";
    case SCMP_ACT_LOG:
      return "allow and log";
    case SCMP_ACT_NOTIFY:
      return "ask the agent";
    default:
      return fmt::format("answer {:#x}", action);
  }
}

std::string flags_text(std::uint32_t flags) {
  std::string text;
  for (const Word<std::uint32_t>& flag : kFlags) {
    if ((flags & flag.value) == 0) continue;
    text += text.empty() ? "" : " ";
    text += flag.name;
  }
  return text.empty() ? "none" : text;
}

void explain_loading(const Plan& plan, Explain& out) {
  if ((plan.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0) {
    out.add("seccomp", "send the filter's listener to the agent at " + plan.listener.path,
            "/linux/seccomp/listenerPath");
  } else if (!plan.listener.path.empty()) {
    out.add("seccomp", "no action is SCMP_ACT_NOTIFY: the agent is told nothing",
            "/linux/seccomp/listenerPath");
  }
  out.add("seccomp", fmt::format("load the filter with flags: {}", flags_text(plan.flags)),
          "/linux/seccomp/flags");
}

void explain_given_program(const Plan& plan, Explain& out) {
  out.add("seccomp",
          fmt::format("whatever a given program of {} bytes answers; the rules do not count",
                      plan.given_program.size()),
          kProgramField);
  explain_loading(plan, out);
}

// Without a listener the kernel refuses this one flag, though it knows it.
bool is_supported(std::uint32_t flag) {
  const std::uint32_t with = flag == kWaitKillable ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
  return sys::knows_seccomp_flags(flag | with);
}

// Callers that use no seccomp write {} or an empty default action; runc takes both for none.
bool is_unused(const Reader& seccomp) {
  const bool has_action = seccomp.find("defaultAction").has_value();
  return seccomp.members().empty() || (has_action && seccomp.asks_nothing());
}

}  // namespace

Spec read(const Reader& linux_object, const Annotations& annotations) {
  Spec spec;
  read_annotations(annotations, spec);
  const std::optional<Reader> field = linux_object.find("seccomp");
  if (!field || is_unused(*field)) return spec;
  spec.present = true;
  if (const std::optional<Reader> rules = field->find("syscalls")) {
    const std::vector<Reader> items = rules->items();
    spec.rules.reserve(items.size());
    for (const Reader& item : items) spec.rules.push_back(read_rule(item));
  }
  spec.default_action = read_action(*field, "defaultAction", "defaultErrnoRet");
  if (spec.default_action == SCMP_ACT_NOTIFY) {
    throw field->at("defaultAction").error("SCMP_ACT_NOTIFY cannot be used as default action");
  }
  if (const std::optional<Reader> architectures = field->find("architectures")) {
    for (const Reader& item : architectures->items()) {
      spec.architectures.push_back(item.one_of("seccomp architecture", kArchitectures));
    }
  }
  read_flags(*field, spec);
  read_listener(*field, spec.listener);
  return spec;
}

Plan plan(Spec spec, const Host&, const std::string& receiver) {
  if (!spec.present) return {};
  Plan plan{.enabled = true,
            .default_action = spec.default_action,
            .architectures = spec.architectures,
            .flags = spec.default_flags ? static_cast<std::uint32_t>(SECCOMP_FILTER_FLAG_SPEC_ALLOW)
                                        : spec.flags,
            .listener = spec.listener,
            .given_program = spec.given_program};
  if (spec.fail_unknown) refuse_unknown_names(spec.rules);
  if (plan.listener.path.empty()) plan.listener.path = receiver;
  plan.rules.reserve(spec.rules.size());
  for (Rule& rule : spec.rules) split_alternatives(std::move(rule), plan.rules);
  plan.flags = listener_flags(plan, plan.flags);
  return plan;
}

std::vector<std::string> known_actions() {
  return names_of(kActions);
}
std::vector<std::string> known_operators() {
  return names_of(kOperators);
}
std::vector<std::string> known_architectures() {
  return names_of(kArchitectures);
}
std::vector<std::string> known_flags() {
  return names_of(kFlags);
}
std::vector<std::string> supported_flags() {
  std::vector<std::string> names;
  for (const Word<std::uint32_t>& flag : kFlags) {
    if (is_supported(flag.value)) names.emplace_back(flag.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.enabled) return;
  if (!plan.given_program.empty()) return explain_given_program(plan, out);
  out.add("seccomp", action_text(plan.default_action) + ": every syscall that no rule names",
          "/linux/seccomp/defaultAction");
  if (hides_newer_calls(plan)) {
    out.add("seccomp",
            action_text(SCMP_ACT_ERRNO(ENOSYS)) +
                ": every syscall newer than all that the rules name, as on older kernels");
  }
  for (const Rule& rule : plan.rules) {
    if (rule.action == plan.default_action) continue;
    out.add("seccomp",
            fmt::format("{}: {}{}", action_text(rule.action), fmt::join(rule.names, ", "),
                        rule.arguments.empty() ? "" : ", where the arguments match"),
            "/linux/seccomp/syscalls");
  }
  if (const std::vector<std::string> unknown = unknown_names(plan.rules); !unknown.empty()) {
    out.add("seccomp",
            fmt::format("ignore, as there are no such syscalls: {}", fmt::join(unknown, ", ")),
            "/linux/seccomp/syscalls");
  }
  explain_loading(plan, out);
}

}  // namespace tare::seccomp
