#include "stages/notify.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <array>
#include <string_view>

#include "features/notify_socket.hpp"
#include "state/store.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

// One message of sd_notify(3) is a few lines.
constexpr std::size_t kMaxMessage = 4096;
// Managers before systemd 246 do not know the barrier; runc waits as long.
constexpr int kBarrierTimeoutMs = 30'000;

std::string_view find_ready(std::string_view message) {
  while (!message.empty()) {
    const std::size_t end = message.find('\n');
    const std::string_view line = message.substr(0, end);
    if (line.starts_with("READY=")) return line;
    if (end == std::string_view::npos) break;
    message.remove_prefix(end + 1);
  }
  return {};
}

// The manager closes the descriptor when it has worked through all that came before it.
sys::Fd send_barrier(sys::FdRef manager) {
  sys::Pipe pipe = sys::make_pipe();
  sys::send_message(manager, "BARRIER=1", pipe.write_end);
  return std::move(pipe.read_end);
}

// Gives the barrier's end to wait on; empty where there was no READY=, or no manager.
sys::Fd tell(const Notify& notify, std::string_view ready, pid_t main_pid) {
  try {
    const sys::Fd manager = sys::connect_datagram(notify.host);
    sys::send_message(manager, fmt::format("{}\n", ready));
    sys::send_message(manager, fmt::format("MAINPID={}\n", main_pid));
    return send_barrier(manager);
  } catch (const Error&) {
    // The container runs, whether anybody wants to know or not.
    return sys::Fd();
  }
}

}  // namespace

void make_notify_directory(const state::ContainerDirectory& directory) {
  sys::make_directory(directory.fd(), notify_socket::kDirectory, 0755);
}

std::optional<Notify> open_notify(const state::ContainerDirectory& directory,
                                  const std::string& host) {
  if (host.empty()) return std::nullopt;
  const std::optional<sys::Fd> place =
      sys::find_at(directory.fd(), notify_socket::kDirectory, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!place) return std::nullopt;
  // One of a start that was killed.
  sys::remove_file(*place, notify_socket::kName);
  Notify notify{.socket = sys::bind_datagram(*place, notify_socket::kName), .host = host};
  const sys::Fd file = sys::open_at(*place, notify_socket::kName, O_PATH | O_NOFOLLOW);
  sys::change_mode(file, 0777);
  return notify;
}

bool pass_on(const Notify& notify, pid_t main_pid) {
  const std::string message = sys::read_message(notify.socket, kMaxMessage);
  const std::string_view ready = find_ready(message);
  if (ready.empty()) return false;
  tell(notify, ready, main_pid);
  return true;
}

void await_ready(const Notify& notify, sys::FdRef pidfd, pid_t main_pid) {
  for (;;) {
    std::array<pollfd, 2> watched = {
        {{.fd = notify.socket.number(), .events = POLLIN, .revents = 0},
         {.fd = pidfd.number(), .events = POLLIN, .revents = 0}}};
    if (!sys::poll(watched, -1)) continue;
    // The message first: the process may have ended right after it.
    if (watched[0].revents == 0) return;
    const std::string message = sys::read_message(notify.socket, kMaxMessage);
    const std::string_view ready = find_ready(message);
    if (ready.empty()) continue;
    const sys::Fd barrier = tell(notify, ready, main_pid);
    if (!barrier) return;
    std::array<pollfd, 1> end = {{{.fd = barrier.number(), .events = POLLIN, .revents = 0}}};
    sys::poll(end, kBarrierTimeoutMs);
    return;
  }
}

}  // namespace tare::stages
