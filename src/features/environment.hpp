/// process.args, process.env, process.cwd: what is executed, with which environment, where
/// (config.md, "Process"). Resolved in init, as the container's user and inside its root, right
/// before the start gate, so that create already says what is wrong with a command.
#pragma once

#include <string>
#include <vector>

#include "features/explain.hpp"
#include "spec/reader.hpp"
#include "sys/path.hpp"

namespace tare::environment {

struct Spec {
  std::vector<std::string> arguments{};
  std::vector<std::string> variables{};  ///< "NAME=value"
  std::string directory{};               ///< process.cwd
};

struct Plan {
  std::vector<std::string> arguments{};
  std::vector<std::string> variables{};  ///< the last of each name wins; HOME may still be missing
  std::string directory{};
  bool needs_home = false;  ///< HOME is unset or empty: taken from the container's passwd
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `process`. Throws Error(spec): no args, relative cwd, a variable without
/// "=".
Spec read(const spec::Reader& process);
Plan plan(const Spec& spec);

/// Tells the program, as sd_listen_fds(3) has it, that `count` sockets begin at descriptor 3 and
/// are meant for pid 1, which is the container's init. 0 changes nothing.
void add_listen_variables(Spec& spec, int count);

/// The value of HOME for `uid` from the container's /etc/passwd, "/" where it has none. Read
/// through the root, bounded, without NSS.
std::string home_of(const sys::Root& root, unsigned uid);

/// Makes the working directory where it is missing (as runc does), relative to the root.
void make_directory_in_init(const Plan& plan, const sys::Root& root);

/// chdir to the working directory and proof that it lies within the root (CVE-2024-21626: "current
/// working directory is outside of container mount namespace root -- possible container breakout
/// detected"). Called before and, where that was refused, after the user is set.
void enter_directory(const Plan& plan);

/// The file that arguments[0] names, by PATH of the container's environment where it has no slash.
/// Throws Error(system): `exec: "X": executable file not found in $PATH`, `exec: "X": permission
/// denied`, `exec: "X": is a directory: permission denied`, in Go's words but for the last.
std::string find_executable(const Plan& plan);

/// Why execve(path) failed with `number`, found by looking at the file: a missing interpreter is
/// named, of a script or an ELF file, as is a foreign architecture or a carriage return in "#!".
Error explain_exec_failure(const std::string& path, int number);

/// What will be executed, where, and where HOME comes from.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::environment
