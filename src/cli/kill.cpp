// kill: engines send numbers, people send names. An engine may call without any environment.
#include <array>

#include "cli/command.hpp"
#include "sys/signals.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 1> kFlags{{
    // containerd's shim sends it; all that is left of it is that an ended container is no error.
    {.name = "all", .letter = 'a'},
}};

int run(const Call& call) {
  const std::span<const std::string_view> words = call.arguments.words();
  const std::string signal(words.size() < 2 || words[1].empty() ? "SIGTERM" : words[1]);
  kill(call.global, std::string(words[0]), sys::parse_signal(signal), call.arguments.is_on("all"));
  return 0;
}

}  // namespace

constinit const Command kKill{
    .name = "kill",
    .summary = "send a signal to a container",
    .usage = "<container-id> [signal]",
    .details = "The signal is a number or a name, with or without SIG; the default is SIGTERM.",
    .flags = kFlags,
    .order = Order::before_first_word,
    .most_words = 2,
    .run = run,
};

}  // namespace tare::cli
