#include "sys/command.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "sys/describe.hpp"
#include "sys/fd.hpp"

namespace tare::sys {
namespace {

constexpr std::size_t kErrorsLimit = 4096;

// posix_spawn's list of what to do with descriptors in the child.
class FileActions {
 public:
  explicit FileActions(int errors) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions_, STDIN_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO);
  }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

std::pair<Fd, Fd> make_pipe() {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) < 0) raise(errno, "pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

// Everything up to the end, so that the program never blocks on a full pipe; the start is kept.
std::string read_errors(const Fd& from) {
  std::string kept;
  std::array<char, 1024> bytes{};
  for (;;) {
    const ssize_t got = ::read(from.number(), bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    kept.append(bytes.data(), static_cast<std::size_t>(got));
    if (kept.size() > kErrorsLimit) kept.resize(kErrorsLimit);
  }
  while (kept.ends_with('\n')) kept.pop_back();
  return kept;
}

ExitStatus await(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) raise(errno, "waitpid({})", pid);
  }
  if (WIFSIGNALED(status)) return {.signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status)};
}

}  // namespace

std::optional<CommandResult> run_command(const std::string& path,
                                         const std::vector<std::string>& arguments) {
  auto [errors, child_errors] = make_pipe();
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (const std::string& text : arguments) argv.push_back(const_cast<char*>(text.c_str()));
  argv.push_back(nullptr);
  std::array<char*, 1> environment = {nullptr};
  pid_t pid = -1;
  const int number = ::posix_spawn(&pid, path.c_str(), FileActions(child_errors.number()).get(),
                                   nullptr, argv.data(), environment.data());
  if (number == ENOENT) return std::nullopt;
  if (number != 0) raise(number, "posix_spawn({})", path);
  child_errors.reset();
  CommandResult result;
  result.errors = read_errors(errors);
  result.status = await(pid);
  return result;
}

std::vector<std::string> search_path() {
  std::vector<std::string> directories;
  const char* const path = std::getenv("PATH");
  std::string_view left = path != nullptr ? path : "";
  while (!left.empty()) {
    const std::string_view one = left.substr(0, left.find(':'));
    left.remove_prefix(std::min(one.size() + 1, left.size()));
    if (one.starts_with('/')) directories.emplace_back(one);
  }
  return directories;
}

}  // namespace tare::sys
