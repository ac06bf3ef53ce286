/// Paths of the command line, which mean the directory that the command was called in.
#pragma once

#include <string>
#include <string_view>

namespace tare::cli {

/// The path with the current directory in front where it is relative; empty stays empty. A path
/// that has no ".." is cleaned; one that has is left as it is, since only the kernel knows what
/// ".." means behind a symbolic link. Throws Error(system) where there is no current directory.
std::string absolute(std::string_view path);

/// As absolute, for a current directory that is given.
std::string absolute_from(std::string_view current_directory, std::string_view path);

}  // namespace tare::cli
