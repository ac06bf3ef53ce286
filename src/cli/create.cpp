// create: everything up to the point where the program would start, as runtime.md defines it.
// Called by engines as conmon and containerd's shim do, which read the pid file and wait for the
// process themselves.
#include <fmt/core.h>

#include <array>

#include "cli/command.hpp"
#include "cli/container_flags.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 9> kFlags{{
    kBundleFlag,
    kConsoleSocketFlag,
    kPidfdSocketFlag,
    kPidFileFlag,
    kNoPivotFlag,
    kNoNewKeyringFlag,
    kPreserveFdsFlag,
    kTimingsFlag,
    // crun takes it for create as well, and does nothing about it.
    {.name = "no-subreaper"},
}};

int run(const Call& call) {
  CreateRequest request = create_request(call.arguments, call.global);
  request.warn = warn_in(call);
  if (call.log.debug_enabled()) {
    call.log.write(sys::LogLevel::debug,
                   fmt::format("create {} of the bundle {}", request.id, request.bundle));
  }
  create(request);
  call.log.write(sys::LogLevel::debug, "created: the process waits for start");
  return 0;
}

}  // namespace

constinit const Command kCreate{
    .name = "create",
    .summary = "make a container, up to the point where its program would start",
    .usage = "<container-id>",
    .flags = kFlags,
    .makes = Makes::container,
    .run = run,
};

}  // namespace tare::cli
