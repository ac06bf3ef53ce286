/// tmpcopyup: a tmpfs starts with a copy of what it covers. Used by mounts in init, before the
/// tmpfs is attached. Everything is done by descriptor and no link is followed, so that what a
/// hostile rootfs holds is copied as it is and nothing from outside it ever.
#pragma once

#include "sys/fd.hpp"

namespace tare::copy_up {

/// Copies what is in the directory `from`, below it and across mounts, into the empty directory
/// `to`: files, links, nodes, with owners and modes. Sockets, which are nothing without their
/// process, are left out. Throws Error(system).
void copy_tree(sys::FdRef from, sys::FdRef to);

}  // namespace tare::copy_up
