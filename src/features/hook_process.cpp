#include "features/hook_process.hpp"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <span>
#include <string_view>
#include <utility>

#include "sys/access.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"
#include "sys/stream.hpp"

namespace tare::hooks {
namespace {

using Clock = std::chrono::steady_clock;

// Enough of the end of an output to see what was wrong, and little enough for one line.
constexpr std::size_t kKept = 4096;
// What a pipe holds (pipe(7)): nothing that the hook itself has written can lie behind it.
constexpr std::size_t kPipeCapacity = 64U << 10U;
// Two of the pipe's pages at a time.
constexpr std::size_t kChunk = 8192;

// The end of what comes out of a pipe that is never waited for.
class Output {
 public:
  explicit Output(sys::Fd source) : source_(std::move(source)) { sys::set_nonblocking(source_); }

  pollfd watch() const noexcept { return {.fd = source_.number(), .events = POLLIN, .revents = 0}; }
  const std::string& text() const noexcept { return text_; }

  // Takes what is there, once. False when there is nothing.
  bool take() {
    if (!source_) return false;
    std::array<char, kChunk> chunk{};
    const std::optional<std::size_t> got = sys::read_some(source_, chunk);
    if (!got) return false;
    if (*got == 0) source_.reset();
    text_.append(chunk.data(), *got);
    if (text_.size() > kKept) text_.erase(0, text_.size() - kKept);
    return *got != 0;
  }

  // Takes what the hook has left behind. A process that outlives it may go on writing: its end,
  // which may never come, is not waited for.
  void drain() {
    for (std::size_t taken = 0; taken < kPipeCapacity && take(); taken += kChunk) continue;
  }

 private:
  sys::Fd source_;
  std::string text_{};
};

// What is still to be written to a hook that may never read.
class Input {
 public:
  Input(sys::Fd sink, std::string_view text) : sink_(std::move(sink)), rest_(text) {
    sys::set_nonblocking(sink_);
  }

  pollfd watch() const noexcept { return {.fd = sink_.number(), .events = POLLOUT, .revents = 0}; }

  // Gives what there is room for; at the end of the text the hook sees the end of its stdin.
  void give() {
    if (!sink_) return;
    const std::optional<std::size_t> put = sys::write_some(sink_, rest_);
    if (put) rest_.remove_prefix(*put);
    // A hook that has closed its stdin does not want to know: no error.
    if (!put || rest_.empty()) sink_.reset();
  }

 private:
  sys::Fd sink_;
  std::string_view rest_;
};

// The ends of the pipes that are the hook's.
struct Streams {
  sys::FdRef input;
  sys::FdRef output;
  sys::FdRef error;
};

sys::FdRef chosen(const sys::Fd& file, const sys::Fd& pipe) {
  return file ? file.ref() : pipe.ref();
}

// In the child: everything that execve(2) would hand on is the hook's, or gone.
int become(const Hook& hook, const std::string& directory, const Streams& streams,
           sys::FdRef failure) {
  try {
    sys::lead_process_group();
    sys::reset_dispositions();
    sys::unblock_signals();
    sys::place(streams.input, 0);
    sys::place(streams.output, 1);
    sys::place(streams.error, 2);
    // Not closed: the last of them is to tell what goes wrong, until execve closes it.
    sys::close_on_exec_from(3);
    sys::change_directory_to(directory);
    throw Error::from_errno(sys::execute(hook.path, hook.arguments, hook.environment),
                            fmt::format("fork/exec {}", hook.path));
  } catch (const Error& error) {
    sys::write_all(failure, error.encode());
  }
  return 1;
}

// A hook that runs. Its pipes are never waited for on their own: any of them may stay open, full or
// empty for longer than the hook lives, and only its pidfd tells of its end.
class Process {
 public:
  Process(const Hook& hook, const std::string& state, const std::string& directory,
          const OutputFiles& files)
      : Process(hook, state, directory, files,
                {sys::make_pipe(), sys::make_pipe(), sys::make_pipe(), sys::make_pipe()}) {}
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  // Whatever goes wrong here, nothing of the hook stays behind.
  ~Process() {
    try {
      if (!reaped_) end();
    } catch (const Error&) {
      // Another error is on its way already, and says what was wrong first.
      reaped_ = true;
    }
  }

  // False when the hook has not ended by `deadline`.
  bool await_end(std::optional<Clock::time_point> deadline) {
    for (;;) {
      const int timeout_ms = remaining_ms(deadline);
      if (timeout_ms == 0) return false;
      std::array<pollfd, 5> watched = {
          {{.fd = child_.pidfd.number(), .events = POLLIN, .revents = 0},
           input_.watch(),
           output_.watch(),
           error_.watch(),
           failure_.watch()}};
      if (!sys::poll(watched, timeout_ms)) continue;
      if (watched[0].revents != 0) return true;
      if (watched[1].revents != 0) input_.give();
      if (watched[2].revents != 0) output_.take();
      if (watched[3].revents != 0) error_.take();
      if (watched[4].revents != 0) failure_.take();
    }
  }

  // Kills what is left of the group, its leader too, and gives the leader's status. The leader is
  // reaped last: while it is a zombie, no other group can have its number.
  sys::ExitStatus end() {
    sys::send_signal(child_.pidfd, SIGKILL);
    sys::signal_group(child_.pid, SIGKILL);
    const sys::ExitStatus status = sys::wait_for(child_.pidfd);
    reaped_ = true;
    for (Output* output : {&output_, &error_, &failure_}) output->drain();
    return status;
  }

  // What went wrong before the hook's program ran, encoded; empty where nothing did.
  const std::string& failure() const noexcept { return failure_.text(); }
  const std::string& output() const noexcept { return output_.text(); }
  const std::string& error() const noexcept { return error_.text(); }

 private:
  struct Pipes {
    sys::Pipe input, output, error, failure;
  };

  Process(const Hook& hook, const std::string& state, const std::string& directory,
          const OutputFiles& files, Pipes pipes)
      : input_(std::move(pipes.input.write_end), state),
        output_(std::move(pipes.output.read_end)),
        error_(std::move(pipes.error.read_end)),
        failure_(std::move(pipes.failure.read_end)),
        child_(sys::spawn({}, [&] {
          return become(hook, directory,
                        {pipes.input.read_end, chosen(files.standard, pipes.output.write_end),
                         chosen(files.error, pipes.error.write_end)},
                        pipes.failure.write_end);
        })) {}

  // Rounded up, so that a rest of a millisecond is waited for and not spun through.
  static int remaining_ms(std::optional<Clock::time_point> deadline) {
    if (!deadline) return -1;
    const auto rest =
        std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(rest, 0, 1 << 30));
  }

  // In this order: the pipes are there before the child that has their other ends.
  Input input_;
  Output output_;
  Output error_;
  Output failure_;
  sys::Child child_;
  bool reaped_ = false;
};

// An error is one line, whatever a hook prints.
std::string on_one_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t' || static_cast<unsigned char>(c) >= ' ') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string said(const Process& process) {
  return fmt::format("stdout: {}, stderr: {}", on_one_line(process.output()),
                     on_one_line(process.error()));
}

std::string how(const sys::ExitStatus& status) {
  if (status.signal != 0) return "signal: " + sys::signal_text(status.signal);
  return fmt::format("exit status {}", status.code);
}

}  // namespace

void run_process(const Hook& hook, const std::string& state, const std::string& directory,
                 const OutputFiles& files) {
  const sys::IgnoredSigpipe ignored;
  sys::keep_ended_children();
  const Clock::time_point begin = Clock::now();
  Process process(hook, state, directory, files);
  std::optional<Clock::time_point> deadline;
  if (hook.timeout_seconds) deadline = begin + std::chrono::seconds(*hook.timeout_seconds);
  const bool in_time = process.await_end(deadline);
  const sys::ExitStatus status = process.end();
  if (!process.failure().empty()) throw Error::decode(process.failure());
  if (!in_time) {
    throw Error(ErrorKind::system, fmt::format("hook ran past specified timeout of {}.0s, {}",
                                               *hook.timeout_seconds, said(process)));
  }
  if (status.code == 0 && status.signal == 0) return;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  throw Error(ErrorKind::system, fmt::format("{}, {}", how(status), said(process)),
              fmt::format("look into {}, which ran for {} ms", hook.path, took.count()));
}

}  // namespace tare::hooks
