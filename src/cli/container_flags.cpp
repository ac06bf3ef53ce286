#include "cli/container_flags.hpp"

#include <fmt/core.h>

#include <cstdlib>

#include "cli/absolute.hpp"
#include "sys/process.hpp"

namespace tare::cli {
namespace {

// The kernel's own bound of open files, fs.nr_open, is 2^20 unless raised.
constexpr int kMaxDescriptors = 1 << 20;

std::optional<std::string_view> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace

int passed_descriptors(std::optional<std::string_view> listen_fds,
                       std::optional<std::string_view> listen_pid, int own_pid) {
  if (!listen_fds || !listen_pid) return 0;
  const std::optional<unsigned> pid = parse_number(*listen_pid, kMaxDescriptors << 4U);
  if (!pid || static_cast<int>(*pid) != own_pid) return 0;
  return static_cast<int>(parse_number(*listen_fds, kMaxDescriptors).value_or(0));
}

int preserved_descriptors(const Arguments& arguments) {
  const int asked = arguments.number("preserve-fds");
  if (asked > kMaxDescriptors) {
    throw Error(ErrorKind::usage, "--preserve-fds: more descriptors than can be open");
  }
  return asked + listen_descriptors();
}

int listen_descriptors() {
  const std::optional<std::string_view> passed = variable("LISTEN_FDS");
  if (!passed) return 0;
  return passed_descriptors(passed, variable("LISTEN_PID"), sys::own_pid());
}

std::string timings_destination(const Arguments& arguments) {
  const std::string word = arguments.text("timings");
  return parse_number(word, kMaxDescriptors) ? word : absolute(word);
}

int timings_descriptor(const Arguments& arguments) {
  const std::string word = arguments.text("timings");
  const std::optional<unsigned> number = parse_number(word, kMaxDescriptors);
  if (!number) return 0;
  const int descriptor = static_cast<int>(*number);
  const bool is_payloads = descriptor >= 3 && descriptor < 3 + preserved_descriptors(arguments);
  if (descriptor == 0 || is_payloads) {
    throw Error(ErrorKind::usage,
                fmt::format("--timings: descriptor {} is the process's own", word),
                "name another descriptor, or a file");
  }
  return descriptor < 3 ? 0 : descriptor;
}

std::string notify_socket() {
  return std::string(variable("NOTIFY_SOCKET").value_or(""));
}

Warn warn_in(const Call& call) {
  return [&call](const std::string& text) { call.log.write(sys::LogLevel::warning, text); };
}

// The container's id is the one word there is: check_word_count has seen to that.
CreateRequest create_request(const Arguments& arguments, const GlobalOptions& global) {
  const std::string bundle = arguments.text("bundle");
  return {
      .global = global,
      .id = std::string(arguments.words()[0]),
      .bundle = absolute(bundle.empty() ? "." : bundle),
      .console_socket = absolute(arguments.text("console-socket")),
      .pidfd_socket = absolute(arguments.text("pidfd-socket")),
      .pid_file = absolute(arguments.text("pid-file")),
      .no_pivot = arguments.is_on("no-pivot"),
      .no_new_keyring = arguments.is_on("no-new-keyring"),
      .preserve_fds = preserved_descriptors(arguments),
      .seccomp_receiver = std::string(variable("RUN_OCI_SECCOMP_RECEIVER").value_or("")),
      .listen_fds = listen_descriptors(),
      .notify_socket = notify_socket(),
      .timings = timings_destination(arguments),
  };
}

}  // namespace tare::cli
