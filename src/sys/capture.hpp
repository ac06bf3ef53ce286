/// What a program of the host prints.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sys/process.hpp"

namespace tare::sys {

/// How a program ended, and all that it wrote to standard output and error.
struct Captured {
  ExitStatus status{};
  std::string output{};
};

/// Runs the program at `path` with our environment and nothing on standard input, and waits for its
/// end; `arguments` begins with its name. nullopt when there is no such program. Throws
/// Error(system).
std::optional<Captured> capture(const std::string& path, const std::vector<std::string>& arguments);

}  // namespace tare::sys
