#include "cli/command.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "sys/file.hpp"

namespace tare::cli {
namespace {

// In the order of a container's life, then what looks at it from outside.
constexpr std::array<const Command*, 19> kCommands{
    &kCreate,  &kStart,  &kRun,   &kExec,     &kState,  &kList,   &kPs,
    &kEvents,  &kKill,   &kPause, &kResume,   &kUpdate, &kMounts, &kCheckpoint,
    &kRestore, &kDelete, &kSpec,  &kFeatures, &kExplain};

}  // namespace

std::span<const Command* const> commands() noexcept {
  return kCommands;
}

const Command* find_command(std::string_view name) noexcept {
  const auto found = std::find_if(kCommands.begin(), kCommands.end(),
                                  [&](const Command* each) { return each->name == name; });
  return found == kCommands.end() ? nullptr : *found;
}

void check_word_count(const Command& command, std::string_view program, std::size_t count) {
  if (count >= command.fewest_words && count <= command.most_words) return;
  const bool exact = command.fewest_words == command.most_words;
  const bool too_few = count < command.fewest_words;
  throw Error(ErrorKind::usage,
              fmt::format("{}: \"{}\" requires {} {} argument(s)", program, command.name,
                          exact     ? "exactly"
                          : too_few ? "a minimum of"
                                    : "a maximum of",
                          too_few ? command.fewest_words : command.most_words));
}

void print(std::string_view text) {
  sys::write_all(sys::FdRef(STDOUT_FILENO), text);
}

}  // namespace tare::cli
