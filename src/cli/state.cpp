// state: what runtime.md calls the state, in the form of runc, which CRI-O and BuildKit decode.
#include "cli/command.hpp"
#include "state/record.hpp"

namespace tare::cli {
namespace {

int run(const Call& call) {
  // No newline behind it: runc prints none, and callers take the output for the JSON text that it
  // is.
  print(state::printed_state(query(call.global, std::string(call.arguments.words()[0]))));
  return 0;
}

}  // namespace

constinit const Command kState{
    .name = "state",
    .summary = "print the state of a container as JSON",
    .usage = "<container-id>",
    .run = run,
};

}  // namespace tare::cli
