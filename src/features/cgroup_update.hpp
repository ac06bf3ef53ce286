/// New limits for a cgroup that is in use, all or none of them: what holds is read before the first
/// value is written, and written back when one of them, or what comes after, is refused. In the
/// parent, at `update`; the limits themselves are those of config-linux.md, "Control groups".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "features/cgroup.hpp"
#include "features/cgroup_resources.hpp"
#include "sys/fd.hpp"

namespace tare::cgroup_update {

/// One file, what it is given, and what undoes that.
struct Step {
  cgroup_resources::Write write{};
  std::string file{};   ///< the write's, or its fallback
  std::string value{};  ///< lines are written one by one
  std::string undo{};   ///< so are these
  bool operator==(const Step&) const = default;
};

/// What undoes a value in a file that read `before`. Files of one value, and files with a line for
/// each device, where only the devices of the value count. Pure.
std::string undo_of(std::string_view file, std::string_view value, std::string_view before);

/// Reads what holds, having the controllers enabled whose files are not there yet. Throws
/// Error(system) for files that the kernel has not got.
std::vector<Step> prepare(const cgroup_resources::Plan& plan, const cgroup::Plan& cgroup,
                          sys::FdRef directory);
/// Writes all values; memory is squeezed below a lower limit first. A value that is refused undoes
/// the ones before. Throws Error(system or state).
void apply(const std::vector<Step>& steps, const cgroup::Plan& cgroup, sys::FdRef directory);
/// What held before the steps, as writes. Pure.
std::vector<cgroup_resources::Write> old_writes(const std::vector<Step>& steps);
/// Undoes the steps, last first. Gives the files, in words, that did not take their old value.
std::string revert(const std::vector<Step>& steps, sys::FdRef directory);

}  // namespace tare::cgroup_update
