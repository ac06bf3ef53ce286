#include "stages/protocol.hpp"

#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

// The order of the table in the header.
constexpr std::string_view kOrder = "JUMIBCHLSNR";

// The largest message is a seccomp filter: the kernel allows 4,096 instructions of 8 bytes.
constexpr std::size_t kMaxMessage = 64U << 10U;

std::string message(char kind, std::string_view text) {
  std::string bytes(1, kind);
  bytes += text;
  return bytes;
}

}  // namespace

ParentEnd::ParentEnd(sys::Fd socket) noexcept : socket_(std::move(socket)), to_come_(kOrder) {}

Request ParentEnd::receive() {
  sys::Message received = sys::receive_message(socket_);
  if (received.bytes.empty()) return {};
  const char kind = received.bytes[0];
  const std::string text = received.bytes.substr(1);
  if (kind == static_cast<char>(FromInit::failed)) throw Error::decode(text);

  const std::size_t at = to_come_.find(kind);
  if (at == std::string_view::npos) {
    throw Error(ErrorKind::internal, "the container's process sent a message out of order");
  }
  const bool again = kind == static_cast<char>(FromInit::map_mount);
  to_come_.remove_prefix(again ? at : at + 1);
  return {static_cast<FromInit>(kind), text, std::move(received.attached)};
}

void ParentEnd::send(ToInit kind, std::string_view text) const {
  sys::send_message(socket_, message(static_cast<char>(kind), text));
}

void InitEnd::send(FromInit kind, std::string_view text) const {
  sys::write_all(socket_, message(static_cast<char>(kind), text));
}

void InitEnd::send(FromInit kind, std::string_view text, sys::FdRef attached) const {
  sys::send_message(socket_, message(static_cast<char>(kind), text), attached);
}

void InitEnd::send_failure(const Error& error) const noexcept {
  try {
    sys::write_all(socket_, message(static_cast<char>(FromInit::failed), error.encode()));
  } catch (const Error&) {
    // The parent is gone, or the filter forbids it: the closed channel says that we failed.
    return;
  }
}

void InitEnd::expect(ToInit kind) const {
  take(kind, 1);
}

std::string InitEnd::expect_text(ToInit kind) const {
  return take(kind, kMaxMessage);
}

std::string InitEnd::take(ToInit kind, std::size_t limit) const {
  const std::string bytes = sys::read_message(socket_, limit);
  if (bytes.empty()) sys::exit_now(1);
  if (bytes[0] != static_cast<char>(kind)) {
    throw Error(ErrorKind::internal, "the parent sent a message out of order");
  }
  return bytes.substr(1);
}

}  // namespace tare::stages
