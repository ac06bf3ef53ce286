/// The log (--log, --log-format, --log-level) and the error line on stderr. One failure is written
/// once, by main. Text lines are logrus's, which runc's callers parse; JSON lines are one object
/// each with an RFC 3339 time. Every line is one write(2), and no message can make two lines of
/// one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.hpp"
#include "tare/error.hpp"

namespace tare::sys {

/// Most important first.
enum class LogLevel { error, warning, info, debug };
enum class LogFormat { text, json };

/// One line of logrus's text form, its newline included: `time="…" level=error msg="…"`.
std::string text_line(LogLevel level, std::string_view time, std::string_view message);

/// One JSON object and a newline: level, msg and time.
std::string json_line(LogLevel level, std::string_view time, std::string_view message);

/// The same for a failure: with kind, and with errno, field and hint where the error has them.
std::string json_line(std::string_view time, std::string_view message, const Error& error);

/// A text with every control character, line breaks too, and every byte that is no UTF-8 replaced
/// by an escape of printable characters: what is quoted in a message cannot act on a terminal.
std::string on_one_line(std::string_view text);

class Log {
 public:
  /// A log on stderr.
  explicit Log(LogFormat format = LogFormat::text, LogLevel level = LogLevel::error) noexcept
      : format_(format), level_(level) {}
  /// Opens the file for appending (O_CREAT 0644). Throws Error(system).
  Log(const std::string& path, LogFormat format, LogLevel level);

  /// One line, if the level asks for it. What cannot be written is lost: a full disk must not stop
  /// a container from being deleted.
  void write(LogLevel level, std::string_view message) const;
  /// The line for a failed command: in the log and, where the log is a file, its first line on
  /// stderr too (callers read one or the other). A hint follows on a second line of stderr if that
  /// is a terminal; in JSON the error's kind, errno, field and hint are further keys. `prefix`
  /// stands in front of the message everywhere.
  void write_failure(const Error& error, std::string_view prefix) const;
  /// Whether lines of LogLevel::debug are wanted: ask before building a costly one.
  bool debug_enabled() const noexcept { return level_ == LogLevel::debug; }

 private:
  FdRef target() const noexcept;
  std::string line(LogLevel level, std::string_view message) const;

  std::optional<Fd> file_{};
  LogFormat format_;
  LogLevel level_;
};

}  // namespace tare::sys
