/// The log (--log, --log-format, --log-level) and the error line on stderr. One failure is written
/// once, by main. Text lines are logrus's, which runc's callers parse; JSON lines are one object each
/// with an RFC 3339 time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.hpp"
#include "tare/error.hpp"

namespace tare::sys {

enum class LogLevel { error, warning, info, debug };
enum class LogFormat { text, json };

class Log {
 public:
  /// A log on stderr.
  Log() = default;
  /// Opens the file for appending (O_CREAT 0644). Throws Error(system).
  Log(const std::string& path, LogFormat format, LogLevel level);

  /// One line, if the level asks for it.
  void write(LogLevel level, std::string_view message) const;
  /// The line for a failed command: in the log and, where the log is a file, its first line on stderr
  /// too (callers read one or the other). A hint follows on a second line of stderr if that is a
  /// terminal; in JSON the error's kind, errno, field and hint are further keys.
  void write_failure(const Error& error, std::string_view prefix) const;
  bool debug_enabled() const noexcept { return level_ == LogLevel::debug; }

 private:
  std::optional<Fd> file_{};
  LogFormat format_ = LogFormat::text;
  LogLevel level_ = LogLevel::error;
};

}  // namespace tare::sys
