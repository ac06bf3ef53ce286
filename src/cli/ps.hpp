/// How ps picks a container's processes out of what ps(1) prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tare::cli {

/// The heading of what ps(1) printed, and the lines that have one of `pids` under PID.
/// Throws Error(system) "couldn't find PID field in ps output".
std::string lines_of(const std::vector<int>& pids, std::string_view ps_output);

/// "[1,2,3]" and a newline.
std::string pids_as_json(const std::vector<int>& pids);

}  // namespace tare::cli
