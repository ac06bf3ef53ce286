/// What a program that anybody may start makes sure of before it does anything.
#pragma once

namespace tare::sys {

/// Makes the part of the stack present that nearly every command comes to write to, by a call in
/// place of a page fault for each page. Fails in silence: the faults come then.
void make_stack_present() noexcept;

/// Refuses to run with rights that its caller does not have: installed set-user-ID or with file
/// capabilities, every path of the command line would be opened with them. Throws Error(usage).
void refuse_elevation();

/// Opens /dev/null wherever one of the standard descriptors is closed: or the next file that is
/// opened would get its number, and with it be handed to the payload. Throws Error(system).
void open_missing_standard_streams();

/// Checks that descriptors `first` to `first + count - 1` are open, before any file of ours can get
/// a number among them. Throws Error(usage).
void require_open(int first, int count);

/// Checks that the last of these descriptors is open, and opens those before it that are not on
/// nothing, to be closed by an execve: podman's --preserve-fd=9,40 leaves gaps, and no file of ours
/// may get a number in one. Throws Error(usage) where the last one is not open.
void hold_gaps(int first, int count);

}  // namespace tare::sys
