/// The start gate: a FIFO in the container's state directory that init holds open, for reading and
/// writing, until its payload is executed. The descriptor is O_CLOEXEC, so the kernel itself
/// publishes, at the moment of execve, that the container has left the state `created`: a FIFO
/// without a reader (ENXIO) is a gate that was passed. No file has to be cleaned up by whoever
/// starts it, and a starter that is killed leaves no state that lies. A second FIFO takes what init
/// fails with after that, so that `start` can say that a hook or execve failed.
#pragma once

#include "sys/fd.hpp"
#include "tare/error.hpp"

namespace tare::start_gate {

/// Init's side of the gate: two FIFOs, each held open for reading and writing.
struct Gate {
  sys::Fd go{};      ///< the starter's byte comes here
  sys::Fd answer{};  ///< what init failed with after that goes here
  explicit operator bool() const noexcept { return static_cast<bool>(go); }
};

/// Makes the FIFOs in the state directory and opens them; the child inherits the descriptors.
/// Throws Error(system).
Gate make(sys::FdRef directory);

/// In init: blocks in read(2) until start() writes. Error(system) on anything else.
void await(const Gate& gate);

/// In init, after the gate: tells the starter what it failed with. Throws Error(system).
void answer(const Gate& gate, const Error& error);

/// Whether someone (init) holds the gate open.
bool is_closed(sys::FdRef directory);

/// Lets init go, and waits until it has executed its payload or ended. False when there was no one
/// at the gate. Throws the Error that init answered with, where it could not execute.
bool open_and_await(sys::FdRef directory);

}  // namespace tare::start_gate
