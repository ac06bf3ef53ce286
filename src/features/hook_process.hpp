/// One hook as a process: given the state on stdin, its output caught, and ended with all that it
/// has started when its time is up. Run by whoever runs hooks::run: the parent, or init.
#pragma once

#include <string>

#include "features/hooks.hpp"

namespace tare::hooks {

/// Runs one hook in `directory` and waits for its end. Throws Error(system), with the end of its
/// output, unless it exits with 0 in time: "exit status 3, stdout: ..., stderr: ..." as runc words
/// it.
void run_process(const Hook& hook, const std::string& state, const std::string& directory,
                 const OutputFiles& files = {});

}  // namespace tare::hooks
