#include "features/oom_score.hpp"

#include <fmt/core.h>

#include <cerrno>

#include "sys/file.hpp"

namespace tare::oom_score {
namespace {

// OOM_SCORE_ADJ_MIN and _MAX of linux/oom.h.
constexpr int kLowest = -1000;
constexpr int kHighest = 1000;

}  // namespace

Spec read(const spec::Reader& process) {
  const std::optional<spec::Reader> field = process.find("oomScoreAdj");
  if (!field) return {};
  return {.adjustment = field->integer<int>(kLowest, kHighest)};
}

Plan plan(const Spec& spec, const Host& host) {
  return {.adjustment = spec.adjustment, .may_fail = spec.adjustment && host.rootless};
}

void apply_in_parent(const Plan& plan, pid_t pid) {
  if (!plan.adjustment) return;
  try {
    asked_by([] { return "/process/oomScoreAdj"; },
             [&] {
               sys::write_value(sys::FdRef::cwd(), fmt::format("/proc/{}/oom_score_adj", pid),
                                fmt::format("{}", *plan.adjustment));
             });
  } catch (const Error& error) {
    // A score below that of the caller needs CAP_SYS_RESOURCE in the initial user namespace
    // (fs/proc/base.c, __set_oom_adj); rootless callers inherit configs that ask for it.
    if (!plan.may_fail || error.errno_value() != EACCES) throw;
  }
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.adjustment) return;
  out.add("oom_score",
          fmt::format("set oom_score_adj to {}{}", *plan.adjustment,
                      plan.may_fail ? ", ignoring a refusal: the caller is rootless" : ""),
          "/process/oomScoreAdj");
}

}  // namespace tare::oom_score
