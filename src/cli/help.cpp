#include "cli/help.hpp"

#include <fmt/core.h>
#include <seccomp.h>

#include <algorithm>

#include "cli/commit.hpp"

namespace tare::cli {
namespace {

// "--bundle PATH, -b PATH"
std::string left_side(const Flag& flag) {
  const std::string value = flag.value.empty() ? "" : fmt::format(" {}", flag.value);
  std::string text = fmt::format("--{}{}", flag.name, value);
  if (flag.letter != '\0') text += fmt::format(", -{}{}", flag.letter, value);
  return text;
}

// One line for each shown flag, the right sides in one column.
std::string list_flags(std::span<const Flag> flags) {
  std::vector<Flag> shown(flags.begin(), flags.end());
  shown.push_back({.name = "help", .letter = 'h', .help = "print this and exit"});
  // What has no text is taken from callers that still send it, and is no promise.
  std::erase_if(shown, [](const Flag& flag) { return flag.help.empty(); });
  std::size_t width = 0;
  for (const Flag& flag : shown) width = std::max(width, left_side(flag).size());
  std::string text;
  for (const Flag& flag : shown) {
    text += fmt::format("   {:<{}}  {}\n", left_side(flag), width, flag.help);
  }
  return text;
}

}  // namespace

std::string program_help(std::string_view program, std::span<const Flag> global_flags) {
  std::string text = fmt::format(
      "NAME:\n   {0} - Open Container Initiative runtime\n\n"
      "USAGE:\n   {0} [global options] command [command options] [arguments...]\n\n"
      "COMMANDS:\n",
      program);
  for (const Command* command : commands()) {
    text += fmt::format("   {:<8}  {}\n", command->name, command->summary);
  }
  text += fmt::format("   {:<8}  {}\n\n", "help", "print this, or the help of a command");
  return text + "GLOBAL OPTIONS:\n" + list_flags(global_flags);
}

std::string command_help(std::string_view program, const Command& command) {
  std::string text =
      fmt::format("NAME:\n   {0} {1} - {2}\n\nUSAGE:\n   {0} {1} [options]{3}{4}\n\n", program,
                  command.name, command.summary, command.usage.empty() ? "" : " ", command.usage);
  if (!command.details.empty()) text += fmt::format("DESCRIPTION:\n   {}\n\n", command.details);
  return text + "OPTIONS:\n" + list_flags(command.flags);
}

std::string version_text(std::string_view program) {
  return fmt::format("{} version {}\ncommit: {}\nspec: 1.3.0\nlibseccomp: {}.{}.{}\n", program,
                     TARE_VERSION, kCommit, SCMP_VER_MAJOR, SCMP_VER_MINOR, SCMP_VER_MICRO);
}

}  // namespace tare::cli
