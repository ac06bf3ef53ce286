#include "sys/socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "sys/describe.hpp"
#include "sys/file.hpp"

namespace tare::sys {
namespace {

// Not a string of that size, which would be filled with zeros: most messages are of one byte, and a
// page that is never touched is never charged to the container.
using Room = std::unique_ptr<char[]>;

Room make_room(std::size_t limit) {
  return std::make_unique_for_overwrite<char[]>(limit);
}

// A peer that died with our message unread resets the connection. That is told once, and before
// what the peer had sent (net/core/datagram.c): the next call gives that, or the end.
bool is_passing(int number) {
  return number == EINTR || number == ECONNRESET;
}

using ControlBuffer = std::array<char, CMSG_SPACE(sizeof(int))>;

// Gives how many bytes were taken: all of them, but for a stream in the midst of which a signal
// came.
std::size_t send_with(FdRef socket, std::string_view bytes, const int* attached) {
  iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (attached != nullptr) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), attached, sizeof(int));
  }
  ssize_t sent = -1;
  while ((sent = ::sendmsg(socket.number(), &message, MSG_NOSIGNAL)) < 0) {
    if (errno != EINTR) raise(errno, "sendmsg {}", describe(socket));
  }
  return static_cast<std::size_t>(sent);
}

Fd take_attached(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int number = -1;
    std::memcpy(&number, CMSG_DATA(header), sizeof number);
    return Fd(number);
  }
  return Fd();
}

}  // namespace

std::pair<Fd, Fd> socket_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) < 0) {
    raise(errno, "socketpair");
  }
  return {Fd(ends[0]), Fd(ends[1])};
}

namespace {

Fd connect_as(int type, const std::string& path) {
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!socket) raise(errno, "socket(AF_UNIX)");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const bool abstract = path.starts_with('@');
  if (abstract && path.size() > sizeof address.sun_path) raise(EINVAL, "connect {}", path);
  // sun_path holds 108 bytes; a longer path goes through a descriptor of the socket file.
  Fd file;
  std::string name = path;
  if (!abstract && name.size() >= sizeof address.sun_path) {
    file = open_at(FdRef::cwd(), path, O_PATH);
    name = fmt::format("/proc/self/fd/{}", file.number());
  }
  std::memcpy(address.sun_path, name.data(), name.size());
  // An abstract name begins with a NUL and has no other at its end (unix(7)).
  if (abstract) address.sun_path[0] = '\0';
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0U : 1U));
  if (::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    raise(errno, "connect {}", path);
  }
  return socket;
}

}  // namespace

Fd connect_unix(const std::string& path) {
  // Callers give paths only; one of theirs may begin with any letter.
  return connect_as(SOCK_STREAM, path.starts_with('@') ? "./" + path : path);
}

Fd connect_datagram(const std::string& path) {
  return connect_as(SOCK_DGRAM, path);
}

Fd bind_datagram(FdRef directory, const std::string& name) {
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) raise(errno, "socket(AF_UNIX)");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // By the descriptor, so that no path is too long for sun_path.
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory.number(), name);
  if (path.size() >= sizeof address.sun_path) raise(ENAMETOOLONG, "bind {}", name);
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  if (::bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    raise(errno, "bind {} in {}", name, describe(directory));
  }
  return socket;
}

void send_message(FdRef socket, std::string_view bytes) {
  send_with(socket, bytes, nullptr);
}

void send_message(FdRef socket, std::string_view bytes, FdRef attached) {
  const int number = attached.number();
  send_with(socket, bytes, &number);
}

void send_stream(FdRef socket, std::string_view bytes, FdRef attached) {
  const int number = attached.number();
  bytes.remove_prefix(send_with(socket, bytes, &number));
  while (!bytes.empty()) bytes.remove_prefix(send_with(socket, bytes, nullptr));
}

Message receive_message(FdRef socket, std::size_t limit) {
  Message out;
  const Room room = make_room(limit);
  iovec part{.iov_base = room.get(), .iov_len = limit};
  alignas(cmsghdr) ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  // Not CMSG_SPACE: its padding has room for a second descriptor, which nobody would close.
  message.msg_controllen = CMSG_LEN(sizeof(int));
  ssize_t got = -1;
  while ((got = ::recvmsg(socket.number(), &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (!is_passing(errno)) raise(errno, "recvmsg {}", describe(socket));
  }
  out.attached = take_attached(message);
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    raise(EMSGSIZE, "recvmsg {}", describe(socket));
  }
  out.bytes.assign(room.get(), static_cast<std::size_t>(got));
  return out;
}

std::string read_message(FdRef socket, std::size_t limit) {
  const Room room = make_room(limit);
  ssize_t got = -1;
  while ((got = ::read(socket.number(), room.get(), limit)) < 0) {
    if (!is_passing(errno)) raise(errno, "read {}", describe(socket));
  }
  return {room.get(), static_cast<std::size_t>(got)};
}

}  // namespace tare::sys
