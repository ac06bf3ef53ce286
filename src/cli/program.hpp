/// The program from its command line to its exit code: finds the command, calls it, and reports the
/// one error that ends it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"
#include "cli/globals.hpp"
#include "sys/log.hpp"

namespace tare::cli {

class Program {
 public:
  /// Borrows main's arguments.
  Program(int count, char** arguments);

  /// Does what the command line says and gives the exit code. Throws Error.
  int run();

  /// Writes the one line that an error gets, and gives the exit code: 255 where exec failed,
  /// else 1.
  int report(const Error& error);

 private:
  bool print_help(const Arguments& globals) const;
  int run_command(const Arguments& globals);
  void prepare(const Arguments& arguments);
  const sys::Log& log();

  char** raw_;
  std::vector<std::string_view> words_;
  std::string name_;
  LogOptions log_options_{};
  std::optional<sys::Log> log_{};
  const Command* command_ = nullptr;
  bool acts_ = false;  // the command line was good: what fails now is the command
};

}  // namespace tare::cli
