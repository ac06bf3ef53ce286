#include "state/start_gate.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <span>

#include "sys/fifo.hpp"
#include "sys/file.hpp"
#include "sys/stream.hpp"

namespace tare::start_gate {
namespace {

constexpr char kName[] = "gate";
constexpr char kAnswerName[] = "answer";
constexpr int kReadAnswer = O_RDONLY | O_NONBLOCK | O_NOFOLLOW;

// What fits into a FIFO, whose size is 16 pages.
constexpr std::size_t kMaxAnswer = 64U << 10U;

sys::Fd make_fifo(sys::FdRef directory, const char* name) {
  if (!sys::make_node(directory, name, S_IFIFO | 0600, 0)) {
    throw Error(ErrorKind::internal, "there is a start gate already");
  }
  // For reading and writing: so a prober or a starter that goes away is no end of file for init.
  return sys::open_at(directory, name, O_RDWR | O_NOFOLLOW);
}

// All that is there now. Init may still hold its end: the kernel closes its descriptors one by one,
// at execve and at its end, and the gate is one of the first.
std::string read_answer(sys::FdRef answer) {
  std::string text(kMaxAnswer, '\0');
  std::size_t used = 0;
  while (used < text.size()) {
    const auto got = sys::read_some(answer, std::span(text).subspan(used));
    if (got.value_or(0) == 0) break;
    used += *got;
  }
  text.resize(used);
  return text;
}

}  // namespace

Gate make(sys::FdRef directory) {
  return {.go = make_fifo(directory, kName), .answer = make_fifo(directory, kAnswerName)};
}

void await(const Gate& gate) {
  sys::read_byte(gate.go);
}

void answer(const Gate& gate, const Error& error) {
  sys::write_all(gate.answer, error.encode().substr(0, kMaxAnswer));
}

bool is_closed(sys::FdRef directory) {
  return sys::find_read_fifo(directory, kName).has_value();
}

bool open_and_await(sys::FdRef directory) {
  // Open before init is let go, so that an answer outlives it.
  const std::optional<sys::Fd> answer = sys::find_at(directory, kAnswerName, kReadAnswer);
  const std::optional<sys::Fd> writer = sys::find_read_fifo(directory, kName);
  if (!answer || !writer || !sys::write_byte(*writer)) return false;
  sys::await_no_reader(*writer);
  const std::string text = read_answer(*answer);
  if (!text.empty()) throw Error::decode(text);
  return true;
}

}  // namespace tare::start_gate
