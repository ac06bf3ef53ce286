#include "sys/attributes.hpp"

#include <fmt/format.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

#include "sys/describe.hpp"

namespace tare::sys {
namespace {

// The largest number of CPUs that a kernel can be built for (NR_CPUS: 8,192 on x86 and powerpc,
// less elsewhere). The kernel reads no more of a mask than it has CPUs, so most of this is never
// touched.
constexpr std::size_t kMostCpus = 8192;
constexpr std::size_t kBitsPerWord = sizeof(unsigned long) * CHAR_BIT;

// Of linux/ioprio.h, which is no C++.
constexpr int kProcess = 1;  // IOPRIO_WHO_PROCESS
constexpr int kClassShift = 13;

// struct sched_attr of linux/sched/types.h (SCHED_ATTR_SIZE_VER1), which cannot be included beside
// the <sched.h> of glibc.
struct SchedAttr {
  std::uint32_t size;
  std::uint32_t sched_policy;
  std::uint64_t sched_flags;
  std::int32_t sched_nice;
  std::uint32_t sched_priority;
  std::uint64_t sched_runtime;
  std::uint64_t sched_deadline;
  std::uint64_t sched_period;
  std::uint32_t sched_util_min;
  std::uint32_t sched_util_max;
};
static_assert(sizeof(SchedAttr) == 56);

}  // namespace

// glibc has wrappers for few of these, and none that does more than the call.

void set_scheduling(pid_t pid, const Scheduling& scheduling) {
  SchedAttr attributes{};
  attributes.size = sizeof attributes;
  attributes.sched_policy = scheduling.policy;
  attributes.sched_flags = scheduling.flags;
  attributes.sched_nice = scheduling.nice;
  attributes.sched_priority = scheduling.priority;
  attributes.sched_runtime = scheduling.runtime_ns;
  attributes.sched_deadline = scheduling.deadline_ns;
  attributes.sched_period = scheduling.period_ns;
  if (::syscall(SYS_sched_setattr, pid, &attributes, 0) == 0) return;
  raise(errno,
        "sched_setattr({}, policy {}, flags {:#x}, nice {}, priority {}, runtime {}, deadline {}, "
        "period {})",
        pid, scheduling.policy, scheduling.flags, scheduling.nice, scheduling.priority,
        scheduling.runtime_ns, scheduling.deadline_ns, scheduling.period_ns);
}

void set_io_priority(pid_t pid, int priority_class, int level) {
  const int value = (priority_class << kClassShift) | level;
  if (::syscall(SYS_ioprio_set, kProcess, pid, value) == 0) return;
  raise(errno, "ioprio_set({}, class {}, level {})", pid, priority_class, level);
}

void set_affinity(pid_t pid, std::span<const unsigned long> cpus) {
  if (::syscall(SYS_sched_setaffinity, pid, cpus.size_bytes(), cpus.data()) == 0) return;
  raise(errno, "sched_setaffinity({}, {:x})", pid, fmt::join(cpus, " "));
}

void set_affinity_to_all(pid_t pid) {
  std::array<unsigned long, kMostCpus / kBitsPerWord> all{};
  all.fill(~0UL);
  if (::syscall(SYS_sched_setaffinity, pid, sizeof all, all.data()) == 0) return;
  raise(errno, "sched_setaffinity({}, all)", pid);
}

void set_personality(unsigned long persona) {
  if (::personality(persona) < 0) raise(errno, "personality({:#x})", persona);
}

void set_memory_policy(int mode_and_flags, std::span<const unsigned long> nodes) {
  // The kernel takes one off the number of bits that it is told (get_nodes, mm/mempolicy.c).
  const std::size_t bits = nodes.empty() ? 0 : nodes.size() * kBitsPerWord + 1;
  const unsigned long* const mask = nodes.empty() ? nullptr : nodes.data();
  if (::syscall(SYS_set_mempolicy, mode_and_flags, mask, bits) == 0) return;
  raise(errno, "set_mempolicy({:#x}, {:x})", mode_and_flags, fmt::join(nodes, " "));
}

}  // namespace tare::sys
