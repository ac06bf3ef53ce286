/// What the kernel keeps for a process beside its rights: how it is scheduled, for the CPU and for
/// I/O, on which CPUs it runs, where its memory comes from, and which machine uname(2) shows it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tare::sys {

/// A set of CPU or memory node numbers as the kernel takes it: bit n of word n / 64 is number n.
using NumberMask = std::vector<unsigned long>;

/// What sched_setattr(2) is told; the names are those of struct sched_attr.
struct Scheduling {
  std::uint32_t policy = 0;  ///< SCHED_*
  std::uint64_t flags = 0;   ///< SCHED_FLAG_*
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0;
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
  bool operator==(const Scheduling&) const = default;
};

/// sched_setattr(2) for process `pid`, 0 for the caller. Throws Error(system).
void set_scheduling(pid_t pid, const Scheduling& scheduling);

/// ioprio_set(2) for process `pid`, 0 for the caller; IOPRIO_CLASS_* and a level of 0 to 7.
/// Throws Error(system).
void set_io_priority(pid_t pid, int priority_class, int level);

/// sched_setaffinity(2) for process `pid`, 0 for the caller; numbers above the kernel's last CPU
/// are without effect. Throws Error(system).
void set_affinity(pid_t pid, std::span<const unsigned long> cpus);
/// Lets process `pid` run on every CPU that its cpuset has now or gets later. Throws Error(system).
void set_affinity_to_all(pid_t pid);

/// personality(2) of the caller: PER_* and flags. Throws Error(system).
void set_personality(unsigned long persona);

/// set_mempolicy(2) of the caller: MPOL_* with MPOL_F_* and a set of nodes, none when empty.
/// Throws Error(system).
void set_memory_policy(int mode_and_flags, std::span<const unsigned long> nodes);

}  // namespace tare::sys
