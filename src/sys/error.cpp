#include "tare/error.hpp"

#include <charconv>
#include <cstring>
#include <optional>

namespace tare {
namespace {

// Fields of an encoded error are separated by NUL, which none of them can contain: they are made of
// C strings, JSON text without NUL, and our own words.
constexpr char kSeparator = '\0';
constexpr std::size_t kFieldCount = 5;

// The length at which a text is cut, so that an error always fits into one message of a channel: a
// command of a megabyte must not make its own failure unspeakable.
constexpr std::size_t kMaxText = 16U << 10U;

std::string encoded(std::string_view text) {
  std::string out(text.substr(0, kMaxText));
  for (char& c : out) {
    if (c == kSeparator) c = '?';
  }
  if (text.size() > kMaxText) out += "…";
  return out;
}

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

// The number that the whole of the text is.
std::optional<int> parse_number(std::string_view text) {
  int number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string_view to_string(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::spec:
      return "spec";
    case ErrorKind::state:
      return "state";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::system:
      return "system";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

std::string errno_text(int number) {
  const char* description = strerrordesc_np(number);
  if (description == nullptr) return "errno " + std::to_string(number);
  std::string text(description);
  // Go's tables, which containerd, podman and CRI-O compare with, are glibc's in lower case, but
  // for a first word that is an abbreviation ("RFS specific error").
  if (is_upper(text[0]) && !is_upper(text[1])) text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

Error::Error(ErrorKind kind, std::string what, std::string hint)
    : kind_(kind), message_(std::move(what)), hint_(std::move(hint)) {}

Error Error::from_errno(int number, std::string call, std::string hint) {
  Error error(ErrorKind::system, std::move(call) + ": " + errno_text(number), std::move(hint));
  error.errno_ = number;
  return error;
}

void Error::add_context(std::string_view doing) {
  message_.insert(0, ": ");
  message_.insert(0, doing);
}

void Error::add_cause(std::string_view cause) {
  message_.append(": ").append(cause);
}

void Error::set_field(std::string pointer) {
  if (field_.empty()) field_ = std::move(pointer);
}

void Error::set_hint(std::string hint) {
  if (hint_.empty()) hint_ = std::move(hint);
}

std::string Error::encode() const {
  std::string bytes;
  bytes += std::to_string(static_cast<int>(kind_));
  bytes += kSeparator;
  bytes += std::to_string(errno_);
  for (const std::string* text : {&message_, &hint_, &field_}) {
    bytes += kSeparator;
    bytes += encoded(*text);
  }
  return bytes;
}

Error Error::decode(std::string_view bytes) {
  std::string_view fields[kFieldCount];
  std::size_t count = 0;
  while (count < kFieldCount) {
    const std::size_t end = bytes.find(kSeparator);
    fields[count++] = bytes.substr(0, end);
    if (end == std::string_view::npos) break;
    bytes.remove_prefix(end + 1);
  }
  const std::optional<int> kind = parse_number(fields[0]);
  const std::optional<int> number = parse_number(fields[1]);
  if (count != kFieldCount || !kind || !number || *kind < 0 ||
      *kind > static_cast<int>(ErrorKind::internal)) {
    return Error(ErrorKind::internal, "a malformed error arrived from a child process");
  }
  Error error(static_cast<ErrorKind>(*kind), std::string(fields[2]), std::string(fields[3]));
  error.errno_ = *number;
  error.field_ = fields[4];
  return error;
}

}  // namespace tare
