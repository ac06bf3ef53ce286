// checkpoint: a running container to files. podman takes `checkpoint --help` for the answer to
// whether a runtime can do it at all.
#include <array>

#include "cli/command.hpp"
#include "cli/image_flags.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 19> kFlags{{
    kImagePathFlag,
    kWorkPathFlag,
    {.name = "parent-path",
     .takes = Takes::text,
     .value = "PATH",
     .help = "directory of the pre-dump before, relative to the image path"},
    {.name = "leave-running", .help = "let the container run on"},
    {.name = "pre-dump", .help = "write only the memory, and let the container run on"},
    kTcpEstablishedFlag,
    kTcpCloseFlag,
    {.name = "tcp-skip-in-flight", .help = "leave out TCP connections that are being made"},
    {.name = "link-remap", .help = "give unlinked files a name for as long as it takes"},
    kExternalUnixFlag,
    kShellJobFlag,
    kFileLocksFlag,
    {.name = "lazy-pages", .help = "serve the memory to the restore when it is asked for"},
    {.name = "status-fd",
     .takes = Takes::number,
     .value = "FD",
     .help = "write a zero byte to FD once lazy pages are served"},
    {.name = "page-server",
     .takes = Takes::text,
     .value = "ADDRESS:PORT",
     .help = "where memory is sent to, or served at"},
    kCgroupModeFlag,
    kNetworkLockFlag,
    kEmptyNamespaceFlag,
    kAutoDedupFlag,
}};

int run(const Call& call) {
  const Arguments& arguments = call.arguments;
  tare::checkpoint({
      .global = call.global,
      .id = std::string(arguments.words()[0]),
      .image = image_request(arguments),
      .parent_path = arguments.text("parent-path"),
      .leave_running = arguments.is_on("leave-running"),
      .pre_dump = arguments.is_on("pre-dump"),
      .link_remap = arguments.is_on("link-remap"),
      .tcp_skip_in_flight = arguments.is_on("tcp-skip-in-flight"),
      .page_server = arguments.text("page-server"),
      .status_fd = arguments.find("status-fd") ? arguments.number("status-fd") : -1,
  });
  return 0;
}

}  // namespace

constinit const Command kCheckpoint{
    .name = "checkpoint",
    .summary = "write a running container to files, by criu",
    .usage = "<container-id>",
    .flags = kFlags,
    .run = run,
};

}  // namespace tare::cli
