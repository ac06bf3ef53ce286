#include "sys/capture.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>

#include "sys/describe.hpp"
#include "sys/file.hpp"
#include "sys/signals.hpp"
#include "sys/stream.hpp"

namespace tare::sys {
namespace {

// A machine has at most 2^22 processes; a line of ps(1) for each is below this.
constexpr std::size_t kMaxOutput = std::size_t{1} << 30U;

// What the child does with its descriptors before it executes the program.
class Redirections {
 public:
  explicit Redirections(FdRef output) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, output.number(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output.number(), STDERR_FILENO);
  }
  Redirections(const Redirections&) = delete;
  Redirections& operator=(const Redirections&) = delete;
  ~Redirections() { ::posix_spawn_file_actions_destroy(&actions_); }
  const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

std::optional<Captured> capture(const std::string& path,
                                const std::vector<std::string>& arguments) {
  Pipe pipe = make_pipe();
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  keep_ended_children();
  pid_t pid = -1;
  const int number = ::posix_spawn(&pid, path.c_str(), Redirections(pipe.write_end).get(), nullptr,
                                   argv.data(), ::environ);
  if (number == ENOENT) return std::nullopt;
  if (number != 0) raise(number, "posix_spawn {}", path);
  const std::optional<Fd> pidfd = open_pidfd(pid);
  pipe.write_end.reset();
  Captured captured{.output = read_all(pipe.read_end, kMaxOutput)};
  captured.status = wait_for(*pidfd);
  return captured;
}

}  // namespace tare::sys
