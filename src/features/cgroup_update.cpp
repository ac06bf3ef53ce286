#include "features/cgroup_update.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "features/cgroup_controllers.hpp"
#include "features/memory_shrink.hpp"
#include "sys/cgroup_file.hpp"

namespace tare::cgroup_update {
namespace {

using cgroup_resources::put;
using cgroup_resources::Write;

// Files with a line for each device, and what a line is for a device without a limit.
constexpr std::pair<std::string_view, std::string_view> kKeyed[] = {
    {"io.max", "rbps=max wbps=max riops=max wiops=max"},
    {"io.weight", "default"},
    {"io.bfq.weight", "default"},
    {"io.latency", "target=0"},
    {"rdma.max", "hca_handle=max hca_object=max"},
    {"misc.max", "max"}};

std::string_view take_line(std::string_view& text) noexcept {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::string find_line(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.starts_with(key) && line.substr(key.size()).starts_with(' ')) return std::string(line);
  }
  return "";
}

std::string undo_line(std::string_view unlimited, std::string_view line, std::string_view before) {
  const std::size_t space = line.find(' ');
  // A weight without a device is the one that the file shows as the default.
  const std::string key(space == std::string_view::npos ? "default" : line.substr(0, space));
  const std::string old = find_line(before, key);
  return old.empty() ? fmt::format("{} {}", key, unlimited) : old;
}

struct Target {
  std::string file;
  std::string value;
  std::string before;
};

std::optional<Target> find_target(const Write& write, sys::FdRef directory) {
  if (std::optional<std::string> before = sys::read_value(directory, write.file)) {
    return Target{write.file, write.value, std::move(*before)};
  }
  if (write.fallback_file.empty()) return std::nullopt;
  std::optional<std::string> before = sys::read_value(directory, write.fallback_file);
  if (!before) return std::nullopt;
  return Target{write.fallback_file, write.fallback_value, std::move(*before)};
}

int write_step(const Step& step, sys::FdRef directory) {
  if (step.file != "memory.max") return put(directory, step.file, step.value);
  const std::optional<std::uint64_t> limit_bytes = memory_shrink::bytes_of(step.value);
  if (!limit_bytes) return put(directory, step.file, step.value);
  return asked_by([&] { return step.write.pointer; },
                  [&] {
                    const memory_shrink::Squeeze squeeze(directory, *limit_bytes);
                    return put(directory, step.file, step.value);
                  });
}

Error refusal_of(int number, const Step& step, const cgroup::Plan& cgroup) {
  Write write = step.write;
  write.file = step.file;
  write.value = step.value;
  write.fallback_file.clear();
  return refusal(number, write, cgroup.directory());
}

// Writes the steps and counts in `done` what may have had an effect.
void write_all(const std::vector<Step>& steps, const cgroup::Plan& cgroup, sys::FdRef directory,
               std::vector<Step>& done) {
  std::vector<Step> again;
  for (const Step& step : steps) {
    // Of several lines the first ones may have been taken.
    const bool counts_anyway = step.value.find('\n') != std::string::npos;
    if (counts_anyway) done.push_back(step);
    const int number = write_step(step, directory);
    if (number == EINVAL && step.file == "cpu.max.burst") {
      // More burst than the quota that still holds: the quota is about to change.
      again.push_back(step);
      continue;
    }
    if (number != 0) throw refusal_of(number, step, cgroup);
    if (!counts_anyway) done.push_back(step);
  }
  for (const Step& step : again) {
    if (const int number = write_step(step, directory); number != 0) {
      throw refusal_of(number, step, cgroup);
    }
    done.push_back(step);
  }
}

}  // namespace

std::string undo_of(std::string_view file, std::string_view value, std::string_view before) {
  for (const auto& [name, unlimited] : kKeyed) {
    if (file != name) continue;
    std::string undo;
    while (!value.empty()) {
      undo += (undo.empty() ? "" : "\n") + undo_line(unlimited, take_line(value), before);
    }
    return undo;
  }
  return std::string(take_line(before));
}

std::vector<Step> prepare(const cgroup_resources::Plan& plan, const cgroup::Plan& cgroup,
                          sys::FdRef directory) {
  std::vector<Step> steps;
  bool enabled = false;
  for (const Write& write : plan.writes) {
    std::optional<Target> target = find_target(write, directory);
    if (!target && !enabled && !write.controller.empty()) {
      asked_by([&] { return write.pointer; },
               [&] { cgroup_controllers::enable(plan.controllers, cgroup); });
      enabled = true;
      target = find_target(write, directory);
    }
    if (!target) {
      if (write.may_be_missing) continue;
      throw refusal(ENOENT, write, cgroup.directory());
    }
    steps.push_back({.write = write,
                     .file = target->file,
                     .value = target->value,
                     .undo = undo_of(target->file, target->value, target->before)});
  }
  return steps;
}

void apply(const std::vector<Step>& steps, const cgroup::Plan& cgroup, sys::FdRef directory) {
  std::vector<Step> done;
  try {
    write_all(steps, cgroup, directory, done);
  } catch (Error& error) {
    const std::string left = revert(done, directory);
    if (!left.empty()) error.set_hint("could not be set back: " + left);
    throw;
  }
}

std::vector<Write> old_writes(const std::vector<Step>& steps) {
  std::vector<Write> writes;
  for (const Step& step : steps) writes.push_back({.file = step.file, .value = step.undo});
  return writes;
}

std::string revert(const std::vector<Step>& steps, sys::FdRef directory) {
  std::string failed;
  for (std::size_t left = steps.size(); left-- > 0;) {
    const Step& step = steps[left];
    // An empty list (cpuset.cpus) is a line of its own.
    const int number = step.undo.empty() ? sys::try_write_value(directory, step.file, "\n")
                                         : put(directory, step.file, step.undo);
    if (number != 0) failed += (failed.empty() ? "" : ", ") + step.file;
  }
  return failed;
}

}  // namespace tare::cgroup_update
