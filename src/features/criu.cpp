#include "features/criu.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sys/access.hpp"
#include "sys/command.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace tare::criu {
namespace {

constexpr std::array kDirectories = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                     "/usr/bin",        "/sbin",          "/bin"};

constexpr unsigned kOldest = 31'600;
// A version's message carries a text as well; none is near this.
constexpr std::size_t kMaxMessage = 64U << 10U;
// The log of a dump of a large container.
constexpr std::size_t kMaxLog = 16U << 20U;
// The first errors are the cause; what follows are its consequences.
constexpr std::size_t kQuoted = 3;

// The caller's choice first, so that a criu of one's own can be tried.
std::vector<std::string> directories() {
  std::vector<std::string> all = sys::search_path();
  all.insert(all.end(), kDirectories.begin(), kDirectories.end());
  return all;
}

// criu itself looks for ip, iptables and tar.
std::vector<std::string> environment() {
  std::string path = "PATH=";
  for (const std::string& directory : directories()) {
    if (path.back() != '=') path += ':';
    path += directory;
  }
  return {path};
}

Error failure(RequestType asked, const Response& response) {
  return Error(ErrorKind::system, fmt::format("criu failed: type {} errno {}", to_string(asked),
                                              response.error_number));
}

// "(00.003074) Error (criu/util.c:642): TEXT": the text, or nothing where it is no error.
std::string_view text_of_error(std::string_view line) {
  const std::size_t at = line.find("Error (");
  const std::size_t end = at == std::string_view::npos ? at : line.find("): ", at);
  if (end == std::string_view::npos) return {};
  line.remove_prefix(end + 3);
  return line.substr(0, line.find_last_not_of(" \t\r") + 1);
}

}  // namespace

std::optional<std::string> find_program() {
  for (const std::string& directory : directories()) {
    const std::string path = directory + "/criu";
    if (sys::check_executable(path) == 0) return path;
  }
  return std::nullopt;
}

std::string require_program() {
  const std::optional<std::string> found = find_program();
  if (found) return *found;
  throw Error(ErrorKind::unsupported, "there is no program criu on this host",
              "install the package criu");
}

int execute(const std::string& program, sys::FdRef socket, const std::vector<sys::FdRef>& passed) {
  sys::keep_across_exec(socket);
  for (const sys::FdRef fd : passed) sys::keep_across_exec(fd);
  return sys::execute(program, {"criu", "swrk", std::to_string(socket.number())}, environment());
}

// criu takes the end of its socket for the end of its work, whatever it is at: a dump that is not
// complete lets the processes go on.
Worker::~Worker() {
  socket_.reset();
  try {
    sys::wait_for(process_.pidfd);
  } catch (const Error&) {
    // It was reaped by finish().
    return;
  }
}

Notification Worker::receive(RequestType asked) {
  sys::Message message = sys::receive_message(socket_, kMaxMessage);
  if (message.bytes.empty()) {
    throw Error(ErrorKind::system,
                fmt::format("criu ended without an answer to {}", to_string(asked)));
  }
  return {decode(message.bytes), std::move(message.attached)};
}

void Worker::require_version() {
  sys::send_message(socket_, encode_version_question());
  const Response answer = receive(RequestType::version).response;
  if (answer.success && answer.version >= kOldest) return;
  const auto name = [](unsigned version) {
    return fmt::format("{}.{}", version / 10'000, version / 100 % 100);
  };
  throw Error(ErrorKind::unsupported, fmt::format("criu {} is too old: {} or newer is needed",
                                                  name(answer.version), name(kOldest)));
}

Features Worker::features() {
  sys::send_message(socket_, encode_feature_question());
  const Response answer = receive(RequestType::feature_check).response;
  if (!answer.success) throw failure(RequestType::feature_check, answer);
  return answer.features;
}

Response Worker::request(RequestType type, const Options& options,
                         const std::function<void(Notification&)>& notified) {
  sys::send_message(socket_, encode(type, options));
  std::optional<Error> own;
  for (;;) {
    Notification next = receive(type);
    if (next.response.type != RequestType::notify) {
      if (own) throw Error(*own);
      if (!next.response.success) throw failure(type, next.response);
      return next.response;
    }
    // Told no, criu undoes what it has done and then answers; leaving it alone in the middle would
    // leave stopped processes.
    try {
      if (!own) notified(next);
    } catch (const Error& error) {
      own = error;
    }
    sys::send_message(socket_, encode_notified(!own));
  }
}

void Worker::finish() {
  socket_.reset();
  const sys::ExitStatus status = sys::wait_for(process_.pidfd);
  if (status.shell_code() == 0) return;
  throw Error(ErrorKind::system, fmt::format("criu exited with status {}", status.shell_code()));
}

std::vector<std::string> errors_in(std::string_view log, std::size_t most) {
  std::vector<std::string> found;
  while (!log.empty() && found.size() < most) {
    const std::size_t end = std::min(log.find('\n'), log.size());
    const std::string_view text = text_of_error(log.substr(0, end));
    log.remove_prefix(std::min(end + 1, log.size()));
    const bool is_new = std::find(found.begin(), found.end(), text) == found.end();
    if (!text.empty() && is_new) found.emplace_back(text);
  }
  return found;
}

void quote_log(Error& error, sys::FdRef directory, const std::string& name,
               const std::string& path) {
  const std::optional<sys::Fd> log = sys::find_at(directory, name, O_RDONLY | O_NOFOLLOW);
  if (!log) return;
  for (const std::string& line : errors_in(sys::read_start(*log, kMaxLog), kQuoted)) {
    error.add_cause(line);
  }
  error.add_cause(fmt::format("log file: {}/{}", path, name));
}

}  // namespace tare::criu
