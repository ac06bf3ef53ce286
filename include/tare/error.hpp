/// The one error type of tare: what was attempted, outermost first, on what, why the kernel or the
/// specification said no, which field of config.json asked for it, and what would cure it.
///
/// Thrown by sys/ and by the checks of spec/ and features/; caught at two places only: main, and
/// the boundary of a child process (sys/process), which sends it to its parent whole.
#pragma once

#include <concepts>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace tare {

/// What sort of mistake an error is; it is printed in the JSON log as "kind".
enum class ErrorKind {
  usage,        ///< the command line is wrong
  spec,         ///< config.json is wrong
  state,        ///< the container is not in a state that allows this, or does not exist
  unsupported,  ///< this machine or this version of tare cannot do it
  system,       ///< the kernel refused
  internal,     ///< tare itself is wrong
};

/// The name of a kind as printed in the JSON log.
std::string_view to_string(ErrorKind kind) noexcept;

/// The text of an errno value as callers match on it: lower case, no locale.
std::string errno_text(int number);

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string what, std::string hint = {});

  /// An error from a failed system call; `call` is rendered with its arguments.
  static Error from_errno(int number, std::string call, std::string hint = {});

  /// Puts what was being done in front of what failed; called while the error unwinds.
  void add_context(std::string_view doing);

  /// Puts what was found out about the cause behind what failed.
  void add_cause(std::string_view cause);

  /// Names the field of config.json that asked for what failed, as a JSON pointer; the innermost
  /// name is kept.
  void set_field(std::string pointer);

  /// Sets a hint where there is none yet.
  void set_hint(std::string hint);

  /// The whole message on one line, without the hint and the field.
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const noexcept { return message_; }
  ErrorKind kind() const noexcept { return kind_; }
  /// The errno value of the failed call, or 0.
  int errno_value() const noexcept { return errno_; }
  const std::string& hint() const noexcept { return hint_; }
  /// The JSON pointer of the field at fault, or empty.
  const std::string& field() const noexcept { return field_; }

  /// The error as bytes for a channel between two processes of tare.
  std::string encode() const;
  /// The inverse of encode(); a malformed text gives an internal error that quotes nothing of it.
  static Error decode(std::string_view bytes);

 private:
  ErrorKind kind_;
  int errno_ = 0;
  std::string message_;
  std::string hint_;
  std::string field_;
};

/// Runs `body`; an Error that leaves it is given the text that `describe` makes, built only then.
template <std::invocable Describe, std::invocable Body>
decltype(auto) in_context(Describe&& describe, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& error) {
    error.add_context(std::forward<Describe>(describe)());
    throw;
  }
}

/// Runs `body`; an Error that leaves it is marked as asked for by `pointer()` of config.json.
template <std::invocable Pointer, std::invocable Body>
decltype(auto) asked_by(Pointer&& pointer, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& error) {
    error.set_field(std::forward<Pointer>(pointer)());
    throw;
  }
}

}  // namespace tare
