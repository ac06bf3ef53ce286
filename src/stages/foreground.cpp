#include "stages/foreground.hpp"

#include <fcntl.h>
#include <signal.h>

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "sys/stream.hpp"
#include "sys/terminal.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

// A terminal gives at most 4095 bytes at a time (N_TTY_BUF_SIZE), and a pipe that is ready for
// writing takes PIPE_BUF bytes, 4096, without blocking (pipe(7)), even where O_NONBLOCK could not
// be set.
constexpr std::size_t kChunk = 4096;

// Copies one way. At most one chunk is held, and nothing more is read until it is written: so
// memory is bounded, and a blocked sink stops its source, not this process (CVE-2022-1708).
class Copy {
 public:
  Copy(sys::FdRef source, sys::FdRef sink) : source_(source), sink_(sink) {}
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  ~Copy() = default;

  // What to wait for now; nothing where the end has come. A descriptor that is not waited for is
  // not in the list at all: poll reports a hang-up of every one that is, and would spin.
  pollfd watch() const noexcept {
    if (!rest_.empty()) return {.fd = sink_.number(), .events = POLLOUT, .revents = 0};
    return {.fd = has_ended_ ? -1 : source_.number(), .events = POLLIN, .revents = 0};
  }

  // Does what watch() said.
  void advance() {
    if (!rest_.empty()) {
      write();
      if (!rest_.empty() || !is_last_) return;
    }
    read();
  }

  // Nobody writes to the source any more: when nothing is left in it, that is the end.
  void expect_end() {
    is_last_ = true;
    if (rest_.empty()) read();
  }

  void abandon() noexcept {
    has_ended_ = true;
    rest_ = {};
  }

  bool has_ended() const noexcept { return has_ended_ && rest_.empty(); }

 private:
  void read() {
    while (!has_ended_) {
      const std::optional<std::size_t> got = sys::read_some(source_, chunk_);
      has_ended_ = got ? *got == 0 : is_last_;
      if (!is_broken_) rest_ = std::string_view(chunk_.data(), got.value_or(0));
      if (!is_broken_ || !is_last_) return;
    }
  }

  // What nobody takes any more is dropped, or the container would block on its terminal.
  void write() {
    const std::optional<std::size_t> put = sys::write_some(sink_, rest_);
    is_broken_ = !put;
    rest_.remove_prefix(put.value_or(rest_.size()));
  }

  sys::FdRef source_;
  sys::FdRef sink_;
  std::array<char, kChunk> chunk_{};
  std::string_view rest_{};
  bool has_ended_ = false;  // nothing more is read
  bool is_last_ = false;    // an empty source is its end
  bool is_broken_ = false;  // the sink takes nothing ever again
};

// Any of the three may be redirected; whichever is a terminal is the one that we were called from.
std::optional<sys::WindowSize> find_our_size() noexcept {
  for (const int number : {0, 1, 2}) {
    const std::optional<sys::WindowSize> size = sys::find_window_size(sys::FdRef(number));
    if (size) return size;
  }
  return std::nullopt;
}

void take_over_size(sys::FdRef console_master) {
  const std::optional<sys::WindowSize> size = find_our_size();
  if (size) sys::set_window_size(console_master, *size);
}

// Held open, so that the terminal never seems to be hung up while the container may still open it
// again (as systemd does with /dev/console): poll would report that without end. Its user may have
// been given to somebody whose files we may not open (rootless); then it ends when all have closed
// it.
sys::Fd hold_slave(sys::FdRef master) {
  try {
    return sys::open_pty_slave(master);
  } catch (const Error&) {
    return sys::Fd();
  }
}

// The container's terminal between stdin and stdout.
class Console {
 public:
  explicit Console(sys::Fd master)
      : master_(std::move(master)),
        slave_(hold_slave(master_)),
        input_(sys::open_nonblocking(sys::FdRef(0), O_RDONLY)),
        output_(sys::open_nonblocking(sys::FdRef(1), O_WRONLY)),
        inward_(input_, master_),
        outward_(master_, output_) {
    sys::set_nonblocking(master_);
    if (sys::is_terminal(sys::FdRef(0))) raw_.emplace(sys::FdRef(0));
    // It may have changed since the last time that somebody looked.
    resize();
  }

  Copy& inward() noexcept { return inward_; }
  Copy& outward() noexcept { return outward_; }
  void resize() { take_over_size(master_); }
  // After a stop, in which the shell has set the terminal's modes as it likes them.
  void resume() {
    if (raw_) raw_->renew();
  }

 private:
  sys::Fd master_;
  sys::Fd slave_;
  sys::Fd input_;
  sys::Fd output_;
  Copy inward_;
  Copy outward_;
  std::optional<sys::RawMode> raw_{};
};

class Attendance {
 public:
  Attendance(const sys::BlockedSignals& blocked, const sys::Child& child,
             std::optional<sys::Fd> console_master, std::optional<Notify> notify)
      : signals_(blocked.open()), child_(child), notify_(std::move(notify)) {
    if (console_master) console_.emplace(std::move(*console_master));
  }

  sys::ExitStatus attend() {
    while (!is_over()) {
      std::array<pollfd, 5> watched = {{{.fd = signals_.number(), .events = POLLIN, .revents = 0},
                                        watch_child(),
                                        watch(&Console::inward),
                                        watch(&Console::outward),
                                        watch_notify()}};
      if (!sys::poll(watched, -1)) continue;
      // The copies first: what note_end() below drops has then gone as far as it could.
      if (watched[2].revents != 0) console_->inward().advance();
      if (watched[3].revents != 0) console_->outward().advance();
      if (watched[4].revents != 0 && pass_on(*notify_, sys::own_pid())) notify_.reset();
      if (watched[1].revents != 0 && !status_) note_end(sys::wait_for(child_.pidfd));
      // Its SIGCHLD comes with its end, and says nothing more.
      if (watched[0].revents != 0 && !is_over()) take_signals();
    }
    return *status_;
  }

 private:
  static constexpr pollfd kNothing{.fd = -1, .events = 0, .revents = 0};

  bool is_over() { return status_ && (!console_ || console_->outward().has_ended()); }

  pollfd watch_child() const noexcept {
    return status_ ? kNothing : pollfd{.fd = child_.pidfd.number(), .events = POLLIN, .revents = 0};
  }

  pollfd watch_notify() const noexcept {
    return notify_ ? pollfd{.fd = notify_->socket.number(), .events = POLLIN, .revents = 0}
                   : kNothing;
  }

  pollfd watch(Copy& (Console::*way)() noexcept) {
    return console_ ? ((*console_).*way)().watch() : kNothing;
  }

  // What the child has written is complete now; nobody is left to read what we would.
  void note_end(const sys::ExitStatus& status) {
    status_ = status;
    if (!console_) return;
    console_->inward().abandon();
    console_->outward().expect_end();
  }

  void take_signals() {
    while (const std::optional<int> number = sys::receive_signal(signals_)) {
      switch (*number) {
        case SIGCHLD:
          reap();
          break;
        case SIGWINCH:
          if (console_) console_->resize();
          break;
        // Of our own making: a reader that went away, and what Go programs send themselves.
        case SIGPIPE:
        case SIGURG:
          break;
        case SIGCONT:
          if (console_) console_->resume();
          forward(*number);
          break;
        default:
          forward(*number);
          break;
      }
    }
  }

  void reap() {
    const std::optional<sys::ExitStatus> ended = sys::reap_ended(child_.pid);
    if (ended && !status_) note_end(*ended);
  }

  // Output that nobody takes could hold us for ever once the child is gone; whoever sends a signal
  // then wants us to end.
  void forward(int number) {
    if (!status_) {
      sys::send_signal(child_.pidfd, number);
    } else if (console_) {
      console_->outward().abandon();
    }
  }

  sys::Fd signals_;
  const sys::Child& child_;
  std::optional<Console> console_{};
  std::optional<Notify> notify_;
  std::optional<sys::ExitStatus> status_{};
};

}  // namespace

void make_ready(sys::FdRef console_master) {
  // What goes to a file or a pipe from here must be what the program wrote; a terminal that it goes
  // to adds the carriage returns itself. runc does the same, and scripts depend on it.
  sys::keep_line_ends(console_master);
  take_over_size(console_master);
}

sys::ExitStatus attend(const sys::BlockedSignals& blocked, const sys::Child& child,
                       std::optional<sys::Fd> console_master, std::optional<Notify> notify) {
  Attendance attendance(blocked, child, std::move(console_master), std::move(notify));
  return attendance.attend();
}

}  // namespace tare::stages
