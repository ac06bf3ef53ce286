// start: the process goes through the gate where create left it.
#include "cli/command.hpp"
#include "cli/container_flags.hpp"

namespace tare::cli {
namespace {

int run(const Call& call) {
  start(call.global, std::string(call.arguments.words()[0]), notify_socket());
  return 0;
}

}  // namespace

constinit const Command kStart{
    .name = "start",
    .summary = "let the program of a created container go",
    .usage = "<container-id>",
    .run = run,
};

}  // namespace tare::cli
