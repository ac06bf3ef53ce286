/// seccomp(2): loading a filter, and what of it this kernel knows.
#pragma once

#include <string_view>

#include "sys/fd.hpp"

namespace tare::sys {

/// SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_* flags; `program` holds the bytes of struct
/// sock_filter[]. Gives the listener where NEW_LISTENER is among the flags, otherwise an empty Fd.
/// Between the call and the return nothing is freed or allocated: every system call of this process
/// is by then the filter's to decide. Throws Error(system), also where a thread could not be
/// synchronised.
Fd load_seccomp_filter(std::string_view program, unsigned flags);

/// Whether the kernel knows these flags together. Loads nothing.
bool knows_seccomp_flags(unsigned flags) noexcept;

/// Whether the kernel knows the action SECCOMP_RET_*.
bool knows_seccomp_action(unsigned action) noexcept;

}  // namespace tare::sys
