/// eBPF programs on cgroups.
#pragma once

#include <cstdint>
#include <vector>

#include "sys/fd.hpp"

namespace tare::sys {

/// One eBPF instruction, in the layout of struct bpf_insn (linux/bpf.h).
struct BpfInstruction {
  std::uint8_t code = 0;
  std::uint8_t destination : 4 = 0;
  std::uint8_t source : 4 = 0;
  std::int16_t offset = 0;
  std::int32_t immediate = 0;
  bool operator==(const BpfInstruction&) const = default;
};

/// Loads a BPF_PROG_TYPE_CGROUP_DEVICE program, named for being found again. Throws Error(system)
/// with the verifier's last line.
Fd load_device_program(const std::vector<BpfInstruction>& program);

/// Attaches it to a cgroup directory (opened O_RDONLY) beside any other (BPF_F_ALLOW_MULTI).
void attach_device_program(FdRef cgroup_directory, FdRef program);

/// The programs of load_device_program that are attached to the cgroup itself, told by their name.
/// Throws Error(system).
std::vector<Fd> attached_device_programs(FdRef cgroup_directory);

/// Puts `program` into the place of `old` on the cgroup, in one step: at no moment is neither
/// there. Throws Error(system).
void replace_device_program(FdRef cgroup_directory, FdRef old, FdRef program);

}  // namespace tare::sys
