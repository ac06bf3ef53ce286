/// A FIFO as a sign that somebody holds its reading side; used by the start gate.
#pragma once

#include <optional>
#include <string>

#include "sys/fd.hpp"

namespace tare::sys {

/// The writing side of the FIFO `path` below `dir`; nullopt where nobody holds the reading side
/// (ENXIO) or there is no such file. Links are not followed. Throws Error(system), for what is no
/// FIFO too.
std::optional<Fd> find_read_fifo(FdRef dir, const std::string& path);

/// Writes one byte; false when the last reader has gone. Throws Error(system).
bool write_byte(FdRef writer);

/// Waits until one byte can be read, and takes it. Throws Error(system).
void read_byte(FdRef reader);

/// Waits until nobody holds the reading side. Throws Error(system).
void await_no_reader(FdRef writer);

}  // namespace tare::sys
