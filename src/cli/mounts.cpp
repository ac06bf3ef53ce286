// mounts: adds mounts to a container that lives, and takes them away again.
#include <fmt/core.h>

#include "cli/absolute.hpp"
#include "cli/command.hpp"

namespace tare::cli {
namespace {

constexpr std::size_t kWords = 3;

int run(const Call& call) {
  const std::span<const std::string_view> words = call.arguments.words();
  const std::string id(words[1]);
  const std::string file = absolute(std::string(words[2]));
  if (words[0] == "add") {
    add_mounts(call.global, id, file);
  } else if (words[0] == "remove") {
    remove_mounts(call.global, id, file);
  } else {
    throw Error(ErrorKind::usage,
                fmt::format("unknown command {}: mounts takes add or remove", words[0]));
  }
  return 0;
}

}  // namespace

constinit const Command kMounts{
    .name = "mounts",
    .summary = "add mounts to a container, or take them away",
    .usage = "add|remove <container-id> <file>",
    .details =
        "FILE holds a list of mounts as in config.json: all are made, or none. To remove\n"
        "   them, only their destinations matter.",
    .fewest_words = kWords,
    .most_words = kWords,
    .run = run,
};

}  // namespace tare::cli
