#include "sys/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "sys/describe.hpp"

namespace tare::sys {

bool is_terminal(FdRef fd) noexcept {
  struct termios mode {};
  return ::tcgetattr(fd.number(), &mode) == 0;
}

void unlock_pty(FdRef master) {
  const int locked = 0;
  if (::ioctl(master.number(), TIOCSPTLCK, &locked) < 0) {
    raise(errno, "ioctl({}, TIOCSPTLCK)", describe(master));
  }
}

unsigned pty_number(FdRef master) {
  unsigned number = 0;
  if (::ioctl(master.number(), TIOCGPTN, &number) < 0) {
    raise(errno, "ioctl({}, TIOCGPTN)", describe(master));
  }
  return number;
}

// By the master's own mount of devpts, wherever that is and whatever lies at /dev/pts
// (ioctl_tty(2)).
Fd open_pty_slave(FdRef master) {
  const int slave = ::ioctl(master.number(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) raise(errno, "ioctl({}, TIOCGPTPEER)", describe(master));
  return Fd(slave);
}

std::optional<WindowSize> find_window_size(FdRef fd) noexcept {
  struct winsize size {};
  if (::ioctl(fd.number(), TIOCGWINSZ, &size) < 0) return std::nullopt;
  return WindowSize{.rows = size.ws_row, .columns = size.ws_col};
}

void set_window_size(FdRef terminal, const WindowSize& size) {
  struct winsize wanted {};
  wanted.ws_row = size.rows;
  wanted.ws_col = size.columns;
  if (::ioctl(terminal.number(), TIOCSWINSZ, &wanted) < 0) {
    raise(errno, "ioctl({}, TIOCSWINSZ, {}x{})", describe(terminal), size.columns, size.rows);
  }
}

void control_by_terminal(FdRef terminal) {
  // The argument 0 does not take a terminal away from another session (ioctl_tty(2)).
  if (::ioctl(terminal.number(), TIOCSCTTY, 0) < 0) {
    raise(errno, "ioctl({}, TIOCSCTTY)", describe(terminal));
  }
}

void keep_line_ends(FdRef terminal) {
  struct termios mode {};
  if (::tcgetattr(terminal.number(), &mode) < 0) raise(errno, "tcgetattr {}", describe(terminal));
  mode.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
  if (::tcsetattr(terminal.number(), TCSANOW, &mode) < 0) {
    raise(errno, "tcsetattr {}", describe(terminal));
  }
}

RawMode::RawMode(FdRef terminal) : terminal_(terminal) {
  if (::tcgetattr(terminal_.number(), &before_) < 0)
    raise(errno, "tcgetattr {}", describe(terminal_));
  renew();
}

// TCSANOW: waiting for output to drain could wait for ever at a terminal that is stopped (Ctrl-S).
RawMode::~RawMode() {
  ::tcsetattr(terminal_.number(), TCSANOW, &before_);
}

void RawMode::renew() {
  struct termios raw = before_;
  ::cfmakeraw(&raw);
  // What comes through the pty has its line ends as the program wrote them (keep_line_ends), and a
  // message of ours is to begin at the left as well.
  raw.c_oflag |= OPOST;
  if (::tcsetattr(terminal_.number(), TCSANOW, &raw) < 0) {
    raise(errno, "tcsetattr {}", describe(terminal_));
  }
}

}  // namespace tare::sys
