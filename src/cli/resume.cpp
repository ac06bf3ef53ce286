// resume: the cgroup is thawed.
#include "cli/command.hpp"

namespace tare::cli {
namespace {

int run(const Call& call) {
  resume(call.global, std::string(call.arguments.words()[0]));
  return 0;
}

}  // namespace

constinit const Command kResume{
    .name = "resume",
    .summary = "let the processes of a paused container go on",
    .usage = "<container-id>",
    .run = run,
};

}  // namespace tare::cli
