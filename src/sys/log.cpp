#include "sys/log.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "sys/clock.hpp"
#include "sys/file.hpp"

namespace tare::sys {
namespace {

using nlohmann::ordered_json;

constexpr FdRef kStderr(STDERR_FILENO);

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return "error";
    case LogLevel::warning:
      return "warning";
    case LogLevel::info:
      return "info";
    case LogLevel::debug:
      return "debug";
  }
  return "error";
}

// What logrus calls a level where it is read by a person.
std::string_view short_name_of(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return "ERRO";
    case LogLevel::warning:
      return "WARN";
    case LogLevel::info:
      return "INFO";
    case LogLevel::debug:
      return "DEBU";
  }
  return "ERRO";
}

// containerd's shim decodes the time as Go does: RFC 3339. Whole seconds, as logrus has them.
std::string now() {
  return now_rfc3339_nanoseconds().substr(0, 19) + "Z";
}

// The number of bytes of the well-formed UTF-8 character that `text` begins with (RFC 3629), or 0.
std::size_t character_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80                   ? 1
                             : lead >= 0xC2 && lead < 0xE0 ? 2
                             : lead >= 0xE0 && lead < 0xF0 ? 3
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                                                           : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) return 0;
  }
  return length;
}

bool is_control(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (lead < 0x20 || lead == 0x7F) return true;
  // U+0080 to U+009F: terminals take them for escape sequences as well.
  return lead == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

std::string escape(std::string_view bytes) {
  if (bytes == "\n") return "\\n";
  if (bytes == "\t") return "\\t";
  if (bytes == "\r") return "\\r";
  std::string out;
  for (const char byte : bytes) {
    out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  }
  return out;
}

// The text with what a terminal or a log would not show as itself escaped, and `also` after a
// backslash.
std::string escaped(std::string_view text, std::string_view also) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(character_length(text), 1);
    const std::string_view character = text.substr(0, length);
    text.remove_prefix(length);
    if (length == 1 && also.find(character[0]) != std::string_view::npos) {
      out += '\\';
      out += character;
    } else if (character_length(character) == 0 || is_control(character)) {
      out += escape(character);
    } else {
      out += character;
    }
  }
  return out;
}

// logrus leaves a value bare only if it is made of these.
bool is_bare(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._/@^+").find(c) != std::string_view::npos;
  });
}

std::string dump_line(const ordered_json& object) {
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

ordered_json object_of(LogLevel level, std::string_view time, std::string_view message) {
  return {{"level", name_of(level)}, {"msg", message}, {"time", time}};
}

void write_line(FdRef target, const std::string& line) noexcept {
  // One call, so that lines of several commands in one file do not mix (O_APPEND), and conmon,
  // which reads standard error once, has the whole line.
  while (::write(target.number(), line.data(), line.size()) < 0 && errno == EINTR) {
  }
}

std::string open_path(const std::string& path) {
  constexpr std::string_view kScheme = "file:";  // crun's way of naming a file
  return path.compare(0, kScheme.size(), kScheme) == 0 ? path.substr(kScheme.size()) : path;
}

}  // namespace

std::string on_one_line(std::string_view text) {
  return escaped(text, {});
}

std::string text_line(LogLevel level, std::string_view time, std::string_view message) {
  const std::string value =
      is_bare(message) ? std::string(message) : "\"" + escaped(message, "\"\\") + "\"";
  return fmt::format("time=\"{}\" level={} msg={}\n", time, name_of(level), value);
}

std::string json_line(LogLevel level, std::string_view time, std::string_view message) {
  return dump_line(object_of(level, time, message));
}

std::string json_line(std::string_view time, std::string_view message, const Error& error) {
  ordered_json object = object_of(LogLevel::error, time, message);
  object["kind"] = to_string(error.kind());
  if (error.errno_value() != 0) object["errno"] = error.errno_value();
  if (!error.field().empty()) object["field"] = error.field();
  if (!error.hint().empty()) object["hint"] = error.hint();
  return dump_line(object);
}

Log::Log(const std::string& path, LogFormat format, LogLevel level)
    // O_NONBLOCK: a FIFO that nobody reads is an error, and not a command that hangs.
    : file_(
          open_at(FdRef::cwd(), open_path(path), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0644)),
      format_(format),
      level_(level) {}

FdRef Log::target() const noexcept {
  return file_ ? file_->ref() : kStderr;
}

std::string Log::line(LogLevel level, std::string_view message) const {
  if (format_ == LogFormat::json) return json_line(level, now(), message);
  if (!file_ && ::isatty(STDERR_FILENO) == 1) {
    return fmt::format("{}[0000] {}\n", short_name_of(level), on_one_line(message));
  }
  return text_line(level, now(), message);
}

void Log::write(LogLevel level, std::string_view message) const {
  if (level <= level_) write_line(target(), line(level, message));
}

void Log::write_failure(const Error& error, std::string_view prefix) const {
  const std::string message = std::string(prefix) + error.message();
  // podman reads the JSON log as one object, the shim reads its last error, conmon and CRI-O read
  // standard error only: so both are written, one line each.
  write_line(target(), format_ == LogFormat::json ? json_line(now(), message, error)
                                                  : line(LogLevel::error, message));
  if (file_) write_line(kStderr, on_one_line(message) + "\n");
  if (!error.hint().empty() && ::isatty(STDERR_FILENO) == 1) {
    write_line(kStderr, "hint: " + on_one_line(error.hint()) + "\n");
  }
}

}  // namespace tare::sys
