/// What a seccomp filter answers, before it is BPF: for each architecture of the kernel's (audit)
/// numbering, the syscall numbers in ranges and each range's answer. Made from a Plan by resolve(),
/// turned into a program by assemble(); both are pure but for libseccomp's tables of names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "features/seccomp.hpp"

namespace tare::seccomp {

/// An action that is taken if every one of the comparisons holds.
struct Check {
  std::vector<Argument> arguments{};
  std::uint32_t action = 0;
  bool operator==(const Check&) const = default;
};

/// The first check that holds decides; otherwise, the action given here.
struct Answer {
  std::vector<Check> checks{};
  std::uint32_t otherwise = 0;
  bool wide = true;  ///< arguments have 64 bits; only the low 32 are compared where they have not
  bool operator==(const Answer&) const = default;
};

/// The answer to the numbers from `first` up to the first one of the next range.
struct Range {
  std::uint32_t first = 0;
  Answer answer{};
  bool operator==(const Range&) const = default;
};

/// All numbers of one architecture, from 0 to 2^32 - 1.
struct Table {
  std::uint32_t audit_architecture = 0;  ///< AUDIT_ARCH_*, as seccomp_data holds it
  bool little_endian = true;
  std::vector<Range> ranges{};  ///< ascending, the first at 0
  bool operator==(const Table&) const = default;
};

/// Whether syscalls newer than the newest that the profile names get ENOSYS: its author cannot have
/// known them, and a libc that is told that there is no such call falls back to an older one
/// (runc's rule). Pointless where the default lets calls through; and a tracer emulates on its own.
bool hides_newer_calls(const Plan& plan) noexcept;

/// The number of a syscall on the architecture SCMP_ARCH_*; negative where there is none: as
/// libseccomp answers it.
int number_of(std::uint32_t token, const std::string& name);
/// Whether any architecture has a syscall of this name.
bool is_known(const std::string& name);
/// The names in rules that no architecture has, each once, in their order.
std::vector<std::string> unknown_names(const std::vector<Rule>& rules);

/// The tables for a Plan: the machine's own architecture first, then the Plan's.
std::vector<Table> resolve(const Plan& plan);

/// The bytes of struct sock_filter[] for the tables; an architecture that has no table is killed.
/// Throws Error(unsupported) where the kernel's limit on a program's length is exceeded.
std::string assemble(const std::vector<Table>& tables);

}  // namespace tare::seccomp
