// delete: containerd's shim and podman force it, whatever is left of the container.
#include <array>

#include "cli/command.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 1> kFlags{{
    {.name = "force",
     .letter = 'f',
     .help = "kill what still lives; no such container is no error"},
}};

int run(const Call& call) {
  remove(call.global, std::string(call.arguments.words()[0]), call.arguments.is_on("force"));
  return 0;
}

}  // namespace

constinit const Command kDelete{
    .name = "delete",
    .summary = "remove what is left of a stopped container",
    .usage = "<container-id>",
    .flags = kFlags,
    .run = run,
};

}  // namespace tare::cli
