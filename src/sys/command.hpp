/// Programs of the host that do what this process may not, run to their end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sys/process.hpp"

namespace tare::sys {

/// How a program ended, and what it said of it.
struct CommandResult {
  ExitStatus status{};
  std::string errors{};  ///< its stderr, without the last newline, cut at 4 KiB
};

/// Runs the program at `path` with an empty environment and nothing on stdin and stdout, and waits
/// for it. Nullopt when there is no such program. Throws Error(system).
std::optional<CommandResult> run_command(const std::string& path,
                                         const std::vector<std::string>& arguments);

/// The absolute directories of the caller's PATH; none where it has none.
std::vector<std::string> search_path();

}  // namespace tare::sys
