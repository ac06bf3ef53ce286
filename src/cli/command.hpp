/// One command of the program: its row in --help, its flags, and the function that does it. Each is
/// defined in the file that it is named after.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/arguments.hpp"
#include "sys/log.hpp"
#include "tare/runtime.hpp"

namespace tare::cli {

/// What a command is called with.
struct Call {
  const Arguments& arguments;
  const GlobalOptions& global;
  const sys::Log& log;
};

/// Whether a command puts a process into a container: then the program makes itself unwritable
/// first, and its errors begin as runc's do.
enum class Makes { nothing, container, process };

struct Command {
  std::string_view name;
  std::string_view summary;  ///< for --help: half a line
  std::string_view usage;    ///< for --help: what follows the flags
  std::string_view
      details{};  ///< for --help: what else there is to say, without a newline at the end
  std::span<const Flag> flags{};
  Order order = Order::anywhere;
  std::size_t fewest_words = 1;
  std::size_t most_words = 1;
  Makes makes = Makes::nothing;
  int (*run)(const Call& call);  ///< gives the exit code; throws Error
};

/// `most_words` of a command that takes any number.
inline constexpr std::size_t kAnyNumber = static_cast<std::size_t>(-1);

extern const Command kCheckpoint;
extern const Command kCreate;
extern const Command kDelete;
extern const Command kEvents;
extern const Command kExec;
extern const Command kExplain;
extern const Command kFeatures;
extern const Command kKill;
extern const Command kList;
extern const Command kMounts;
extern const Command kPause;
extern const Command kPs;
extern const Command kRestore;
extern const Command kResume;
extern const Command kRun;
extern const Command kSpec;
extern const Command kStart;
extern const Command kState;
extern const Command kUpdate;

/// Every command, in the order of --help.
std::span<const Command* const> commands() noexcept;

/// The command of that name, or nullptr.
const Command* find_command(std::string_view name) noexcept;

/// Throws Error(usage) in runc's words unless `count` words are as many as the command takes.
void check_word_count(const Command& command, std::string_view program, std::size_t count);

/// Writes `text` to standard output. Throws Error(system).
void print(std::string_view text);

}  // namespace tare::cli
