/// The start gate: a FIFO in the container's state directory that init holds open, for reading and
/// writing, until its payload is executed. The descriptor is O_CLOEXEC, so the kernel itself
/// publishes, at the moment of execve, that the container has left the state `created`: a FIFO
/// without a reader (ENXIO) is a gate that was passed. No file has to be cleaned up by whoever
/// starts it, and a starter that is killed leaves no state that lies.
#pragma once

#include "sys/fd.hpp"

namespace tare::start_gate {

/// Makes the FIFO in the state directory and opens it; the child inherits the descriptor.
sys::Fd make(sys::FdRef directory);

/// In init: blocks in read(2) until start() writes. Error(system) on anything else.
void await(sys::FdRef gate);

/// Whether someone (init) holds the gate open.
bool is_closed(sys::FdRef directory);

/// Lets init go, and waits until it has executed its payload or ended. False when there was no one
/// at the gate.
bool open_and_await(sys::FdRef directory);

}  // namespace tare::start_gate
