// pause: the cgroup is frozen; nothing in it notices.
#include "cli/command.hpp"

namespace tare::cli {
namespace {

int run(const Call& call) {
  pause(call.global, std::string(call.arguments.words()[0]));
  return 0;
}

}  // namespace

constinit const Command kPause{
    .name = "pause",
    .summary = "freeze all processes of a container",
    .usage = "<container-id>",
    .run = run,
};

}  // namespace tare::cli
