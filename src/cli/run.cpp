// run: create and start, and to stand between the caller and the process until that has ended.
// BuildKit takes the exit code for that of its build step.
#include <fmt/core.h>

#include <array>

#include "cli/command.hpp"
#include "cli/container_flags.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 11> kFlags{{
    kBundleFlag,
    {.name = "detach", .letter = 'd', .help = "return once the program runs"},
    {.name = "keep", .help = "do not delete the container when it has ended"},
    {.name = "no-subreaper", .help = "do not become the reaper of the container's orphans"},
    kConsoleSocketFlag,
    kPidfdSocketFlag,
    kPidFileFlag,
    kNoPivotFlag,
    kNoNewKeyringFlag,
    kPreserveFdsFlag,
    kTimingsFlag,
}};

int run(const Call& call) {
  RunRequest request{
      .create = create_request(call.arguments, call.global),
      .detach = call.arguments.is_on("detach"),
      .keep = call.arguments.is_on("keep"),
      .no_subreaper = call.arguments.is_on("no-subreaper"),
  };
  request.create.warn = warn_in(call);
  if (call.log.debug_enabled()) {
    call.log.write(sys::LogLevel::debug, fmt::format("run {} of the bundle {}", request.create.id,
                                                     request.create.bundle));
  }
  const int code = tare::run(request);
  if (call.log.debug_enabled()) {
    call.log.write(sys::LogLevel::debug, fmt::format("run ends with {}", code));
  }
  return code;
}

}  // namespace

constinit const Command kRun{
    .name = "run",
    .summary = "create and start, and wait for the end",
    .usage = "<container-id>",
    .flags = kFlags,
    .makes = Makes::container,
    .run = run,
};

}  // namespace tare::cli
