/// The flags that stand before the command, and what follows from them for every command.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cli/arguments.hpp"
#include "sys/log.hpp"
#include "tare/runtime.hpp"

namespace tare::cli {

/// Their table.
std::span<const Flag> global_flags() noexcept;

/// How the log is to be written.
struct LogOptions {
  std::string path{};  ///< empty: standard error
  sys::LogFormat format = sys::LogFormat::text;
  sys::LogLevel level = sys::LogLevel::warning;
  bool operator==(const LogOptions&) const = default;
};

/// Throws Error(usage) "invalid log-format: X".
LogOptions read_log_options(const Arguments& globals);

/// Opens the log. Throws Error(system).
sys::Log open_log(const LogOptions& options);

/// What decides where the state lies if --root does not.
struct Caller {
  bool is_root = true;                             ///< root of the host: not of a user namespace
  std::optional<std::string> runtime_directory{};  ///< $XDG_RUNTIME_DIR
  std::optional<std::string> user_name{};          ///< $USER
};

/// The caller as this process sees it. Throws Error(system).
Caller find_caller();

/// Throws Error(usage) for a value that is none, and for --root "/" or "", in runc's words.
GlobalOptions read_global_options(const Arguments& globals);

/// Where the state lies without --root: /run/tare, or tare in the caller's runtime directory.
std::string default_root(const Caller& caller);

}  // namespace tare::cli
