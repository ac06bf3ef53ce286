#include "state/start_gate.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>

#include "sys/fifo.hpp"
#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::start_gate {
namespace {

constexpr char kName[] = "gate";

}  // namespace

sys::Fd make(sys::FdRef directory) {
  if (!sys::make_node(directory, kName, S_IFIFO | 0600, 0)) {
    throw Error(ErrorKind::internal, "there is a start gate already");
  }
  // For writing as well: so a prober or a starter that goes away is no end of file for init.
  return sys::open_at(directory, kName, O_RDWR | O_NOFOLLOW);
}

void await(sys::FdRef gate) {
  sys::read_byte(gate);
}

bool is_closed(sys::FdRef directory) {
  return sys::find_read_fifo(directory, kName).has_value();
}

bool open_and_await(sys::FdRef directory) {
  const std::optional<sys::Fd> writer = sys::find_read_fifo(directory, kName);
  if (!writer || !sys::write_byte(*writer)) return false;
  sys::await_no_reader(*writer);
  return true;
}

}  // namespace tare::start_gate
