/// Pseudoterminals by descriptor, and the terminal that tare was called from. Nothing here takes
/// the path of a terminal: a path in a container's /dev may lead anywhere (CVE-2025-52565).
#pragma once

#include <termios.h>

#include <optional>

#include "sys/fd.hpp"

namespace tare::sys {

/// The size of a terminal in characters.
struct WindowSize {
  unsigned short rows = 0;
  unsigned short columns = 0;
  bool operator==(const WindowSize&) const = default;
};

/// Whether a descriptor is a terminal.
bool is_terminal(FdRef fd) noexcept;

/// Lets the slave of a new pty be opened (TIOCSPTLCK). Throws Error(system) for anything but a
/// master.
void unlock_pty(FdRef master);

/// The N of /dev/pts/N (TIOCGPTN). Throws Error(system).
unsigned pty_number(FdRef master);

/// The slave of a pty, opened by the kernel itself (TIOCGPTPEER) and not as a controlling terminal.
/// Throws Error(system).
Fd open_pty_slave(FdRef master);

/// The size of a terminal; nullopt when `fd` is none.
std::optional<WindowSize> find_window_size(FdRef fd) noexcept;

/// Sets the size of a terminal, which sends SIGWINCH to its foreground. Throws Error(system).
void set_window_size(FdRef terminal, const WindowSize& size);

/// Makes `terminal` the controlling one of this session leader (TIOCSCTTY). Throws Error(system).
void control_by_terminal(FdRef terminal);

/// Line ends leave `terminal` as they are written to it, instead of with a carriage return (ONLCR
/// off, termios(3)); of a pty, either end will do. Throws Error(system).
void keep_line_ends(FdRef terminal);

/// A terminal in raw mode but for what its own output adds to line ends, as long as this lives:
/// every byte passes as it is, and neither keys nor background output make signals. Borrows the
/// descriptor. The caller has SIGTTOU blocked, or setting the mode from a background process group
/// would stop it (termios(3)).
class RawMode {
 public:
  /// Throws Error(system).
  explicit RawMode(FdRef terminal);
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  /// Restores what the terminal was like.
  ~RawMode();
  /// Sets raw mode again, after a stop during which a shell had the terminal. Throws Error(system).
  void renew();

 private:
  FdRef terminal_;
  struct termios before_ {};
};

}  // namespace tare::sys
