/// Unix sockets: the channel between parent and init, and the console and pidfd sockets of callers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sys/fd.hpp"

namespace tare::sys {

/// A connected pair of SOCK_SEQPACKET sockets: messages keep their borders. Throws Error(system).
std::pair<Fd, Fd> socket_pair();

/// A stream socket connected to the unix socket at `path`, which may be longer than sun_path.
Fd connect_unix(const std::string& path);

/// A datagram socket that is bound as `name` in `directory`. Throws Error(system).
Fd bind_datagram(FdRef directory, const std::string& name);

/// A datagram socket connected to the one at `path`, or to an abstract one where it begins with
/// "@". Throws Error(system).
Fd connect_datagram(const std::string& path);

/// Sends one message, with at most one descriptor. Never raises SIGPIPE. Throws Error(system).
void send_message(FdRef socket, std::string_view bytes);
void send_message(FdRef socket, std::string_view bytes, FdRef attached);

/// Sends all of `bytes` on a stream socket, the descriptor with the first of them. Never raises
/// SIGPIPE. Throws Error(system).
void send_stream(FdRef socket, std::string_view bytes, FdRef attached);

/// One message as it was received.
struct Message {
  std::string bytes;  ///< empty when the other side has closed and nothing is left
  Fd attached;        ///< the descriptor that came with it, if one did
};

/// Receives one message of at most `limit` bytes and one descriptor; more of either is
/// Error(system, EMSGSIZE): the sender may be a container's init and is not trusted with sizes.
Message receive_message(FdRef socket, std::size_t limit = 64U << 10U);

/// As receive_message, for one that carries no descriptor, by plain read(2): a process under a
/// seccomp filter may have nothing else. Empty when the other side has closed.
std::string read_message(FdRef socket, std::size_t limit);

}  // namespace tare::sys
