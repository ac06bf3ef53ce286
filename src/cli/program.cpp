#include "cli/program.hpp"

#include <fmt/core.h>

#include "cli/container_flags.hpp"
#include "cli/help.hpp"
#include "sys/fd.hpp"
#include "sys/seal.hpp"
#include "sys/startup.hpp"

namespace tare::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kExecFailed = 255;  // so that it can be told from most codes of the process itself
constexpr int kFirstInherited = 3;

Error no_such_topic(std::string_view name) {
  return Error(ErrorKind::usage, fmt::format("No help topic for '{}'", name));
}

const Command& require_command(std::string_view name) {
  const Command* command = find_command(name);
  if (command == nullptr) throw no_such_topic(name);
  return *command;
}

// The name that the program was called by, so that an installation as "runc" speaks as runc.
std::string name_of(const std::vector<std::string_view>& words) {
  if (words.empty()) return "tare";
  const std::string_view path = words[0];
  return std::string(path.substr(path.rfind('/') + 1));
}

}  // namespace

Program::Program(int count, char** arguments)
    : raw_(arguments), words_(arguments, arguments + count), name_(name_of(words_)) {}

int Program::run() {
  sys::open_missing_standard_streams();
  sys::refuse_elevation();
  if (words_.empty()) throw Error(ErrorKind::usage, "called without a name");

  const Arguments globals(global_flags(), Order::before_first_word, std::span(words_).subspan(1));
  log_options_ = read_log_options(globals);
  return print_help(globals) ? 0 : run_command(globals);
}

// Whether that was all that was asked for. Nothing else of the command line is looked at: help is
// what one wants when the rest is wrong.
bool Program::print_help(const Arguments& globals) const {
  const std::span<const std::string_view> words = globals.words();
  const bool asked = !words.empty() && (words[0] == "help" || words[0] == "h");
  if (globals.is_on("version")) {
    print(version_text(name_));
  } else if (globals.asks_help() || words.empty() || (asked && words.size() == 1)) {
    print(program_help(name_, global_flags()));
  } else if (asked) {
    print(command_help(name_, require_command(words[1])));
  } else {
    return false;
  }
  return true;
}

int Program::run_command(const Arguments& globals) {
  const std::span<const std::string_view> words = globals.words();
  const Command& command = require_command(words[0]);
  const GlobalOptions global = read_global_options(globals);
  command_ = &command;
  const Arguments arguments(command_->flags, command_->order, words.subspan(1));
  if (arguments.asks_help()) {
    print(command_help(name_, *command_));
    return 0;
  }
  check_word_count(*command_, name_, arguments.words().size());
  acts_ = true;
  prepare(arguments);
  return command_->run({.arguments = arguments, .global = global, .log = log()});
}

// Before any file of ours is open. Sealing executes the program again, and it comes here a second
// time.
void Program::prepare(const Arguments& arguments) {
  if (const int timings = timings_descriptor(arguments); timings != 0) {
    sys::require_open(timings, 1);
  }
  if (command_->makes == Makes::nothing) {
    // What start, delete and ps execute on the host gets nothing that an engine forgot to close.
    sys::close_on_exec_from(kFirstInherited);
    return;
  }
  const int preserved = preserved_descriptors(arguments);
  const int listening = listen_descriptors();
  sys::require_open(kFirstInherited, listening);
  sys::hold_gaps(kFirstInherited + listening, preserved - listening);
  // First: sealing is an execve itself, and what is named as /dev/fd/N (a shell's `<(...)`) must be
  // open after it.
  sys::seal_own_image(raw_);
  sys::close_on_exec_from(kFirstInherited + preserved);
}

const sys::Log& Program::log() {
  if (!log_) log_ = open_log(log_options_);
  return *log_;
}

// Prefixes and exit codes are those that callers of runc compare with.
int Program::report(const Error& error) {
  std::string prefix;
  if (!acts_ && error.kind() == ErrorKind::usage && command_ != nullptr) {
    print(fmt::format("Incorrect Usage.\n\n{}", command_help(name_, *command_)));
  }
  if (acts_ && command_->makes == Makes::container) {
    prefix = fmt::format("{} {} failed: ", name_, command_->name);
  } else if (acts_ && command_->makes == Makes::process) {
    prefix = fmt::format("{} failed: ", command_->name);
  }
  log().write_failure(error, prefix);
  return acts_ && command_->makes == Makes::process ? kExecFailed : kFailed;
}

}  // namespace tare::cli
