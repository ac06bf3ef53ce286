// restore: a container from the files of a checkpoint. podman looks for whether a value is missed
// when it calls `restore --lsm-mount-context` without one.
#include <array>

#include "cli/command.hpp"
#include "cli/container_flags.hpp"
#include "cli/image_flags.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 23> kFlags{{
    kBundleFlag,
    {.name = "detach", .letter = 'd', .help = "return once the container runs"},
    {.name = "no-subreaper", .help = "do not become the reaper of the container's orphans"},
    kConsoleSocketFlag,
    kPidFileFlag,
    kImagePathFlag,
    kWorkPathFlag,
    kTcpEstablishedFlag,
    kTcpCloseFlag,
    kExternalUnixFlag,
    kShellJobFlag,
    kFileLocksFlag,
    {.name = "lazy-pages", .help = "get the memory from a running `criu lazy-pages`"},
    kCgroupModeFlag,
    kNetworkLockFlag,
    kEmptyNamespaceFlag,
    kAutoDedupFlag,
    {.name = "lsm-profile",
     .takes = Takes::text,
     .value = "TYPE:NAME",
     .help = "the profile to run under: apparmor:NAME or selinux:LABEL"},
    {.name = "lsm-mount-context",
     .takes = Takes::text,
     .value = "CONTEXT",
     .help = "the context that mounts get in place of the one they had"},
    kNoPivotFlag,
    kNoNewKeyringFlag,
    kTimingsFlag,
    {.name = "parent-path",
     .takes = Takes::text,
     .value = "PATH",
     .help = "ignored: the images name the ones before them"},
}};

int run(const Call& call) {
  const Arguments& arguments = call.arguments;
  return tare::restore({
      .create = create_request(arguments, call.global),
      .image = image_request(arguments),
      .detach = arguments.is_on("detach"),
      .no_subreaper = arguments.is_on("no-subreaper"),
      .lsm_profile = arguments.text("lsm-profile"),
      .lsm_mount_context = arguments.text("lsm-mount-context"),
  });
}

}  // namespace

constinit const Command kRestore{
    .name = "restore",
    .summary = "make a container that runs on from such files",
    .usage = "<container-id>",
    .flags = kFlags,
    .run = run,
};

}  // namespace tare::cli
