/// What --help prints, made from the tables of flags; the manual pages are compared with it.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.hpp"

namespace tare::cli {

/// The help of the program, as `program` it is called.
std::string program_help(std::string_view program, std::span<const Flag> global_flags);

/// The help of one command.
std::string command_help(std::string_view program, const Command& command);

/// What --version prints; go-runc wants the first line to begin with "runc version", which it does
/// where the program is installed under that name.
std::string version_text(std::string_view program);

}  // namespace tare::cli
