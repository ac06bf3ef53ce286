/// What reading linux.resources gives: values for files of a cgroup v2 directory. Each controller
/// has a file of its own (cgroup_memory.cpp, cgroup_cpu.cpp, ...) that adds to this Spec; planning
/// and writing are the same for all (cgroup_resources.cpp). Read in the parent before anything
/// exists, and again by `update` (config-linux.md, "Control groups").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"
#include "tare/error.hpp"

namespace tare::cgroup_resources {

/// One value for one file of the cgroup.
struct Write {
  std::string controller{};  ///< "memory"; empty for cgroup.* files, which every cgroup has
  std::string file{};        ///< "memory.max"
  std::string value{};       ///< lines are written one by one
  std::string pointer{};     ///< "/linux/resources/memory/limit"
  bool may_be_missing =
      false;  ///< asks only for what holds anyway where the kernel has no such file
  std::string fallback_file{};   ///< where the kernel has no `file`; empty where there is no other
  std::string fallback_value{};  ///< what is written there
  bool operator==(const Write&) const = default;
};

/// A limit that is refused where the cgroup uses that much already (memory.checkBeforeUpdate).
struct UsageCheck {
  std::string what{};  ///< "memory limit"
  std::int64_t limit_bytes = 0;
  std::string pointer{};
  bool operator==(const UsageCheck&) const = default;
};

/// A field of cgroup v1 that has no counterpart and is left alone, as runc leaves it on cgroup v2.
struct Ignored {
  std::string pointer{};
  std::string why{};
  bool obsolete = false;  ///< the specification has given it up: not worth refusing an update for
  bool operator==(const Ignored&) const = default;
};

/// The memory limits in cgroup v1's terms, which alone tell what a later change of one of them
/// means for the other: swap is memory and swap together. 0 is "not set", -1 "none".
struct MemoryLimits {
  std::int64_t limit_bytes = 0;
  std::int64_t swap_bytes = 0;
  bool operator==(const MemoryLimits&) const = default;
};

/// What holds already for values that are given only in part. The defaults are those of a new
/// cgroup.
struct Base {
  MemoryLimits memory{};
  std::string cpu_quota = "max";         ///< microseconds, or "max"
  std::uint64_t cpu_period_us = 100000;  ///< cgroup-v2.rst, "cpu.max"
};

struct Spec {
  std::vector<Write> writes{};
  std::vector<UsageCheck> checks{};
  std::vector<Ignored> ignored{};
  MemoryLimits memory{};  ///< what will hold
};

/// Adds a value for `file`, whose name begins with its controller's.
void add(Spec& spec, std::string_view file, std::string value, std::string pointer);

/// Whether the config named the file itself (linux.resources.unified).
bool is_unified(const Write& write) noexcept;

/// Writes a value to a file of the cgroup, line by line. Gives 0 or the errno.
int put(sys::FdRef directory, const std::string& file, std::string_view value) noexcept;
/// Writes the value, to the other file where the kernel has not got the first. Gives 0 or the
/// errno.
int put(sys::FdRef directory, const Write& write) noexcept;

/// The error for a value that was not taken: which file of which cgroup, which field, and where the
/// errno tells, why.
Error refusal(int number, const Write& write, const std::string& cgroup_directory);

}  // namespace tare::cgroup_resources
