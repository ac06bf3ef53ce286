/// What the kernel has counted for a container's cgroup, for `events`: read from the files of its
/// cgroup v2 directory (Linux, Documentation/admin-guide/cgroup-v2.rst) whenever it is asked for,
/// in the process of the command, and shown in the schema of `runc events`, which is v1's. Nothing
/// of config.json asks for this, and nothing is changed.
///
/// A file that is missing, as its controller is, leaves its numbers 0.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace tare::cgroup_stats {

/// The value of "max", and with it of a file that has no limit.
inline constexpr std::uint64_t kNoLimit = UINT64_MAX;

/// One line of a file like cpu.pressure (Documentation/accounting/psi.rst): the share of time in
/// hundredths of a percent, in the last 10, 60 and 300 seconds, and the whole time.
struct Stall {
  std::uint64_t avg10 = 0;
  std::uint64_t avg60 = 0;
  std::uint64_t avg300 = 0;
  std::uint64_t total_us = 0;
  bool operator==(const Stall&) const = default;
};

struct Pressure {
  /// Time in which at least one task waited.
  Stall some{};
  /// Time in which all of them did, so that nothing was done.
  Stall full{};
  bool operator==(const Pressure&) const = default;
};

/// cpu.stat, which the kernel has in microseconds, and cpu.pressure. The times are there without
/// the controller too, the throttling is not.
struct Cpu {
  std::uint64_t total_ns = 0;
  std::uint64_t kernel_ns = 0;
  std::uint64_t user_ns = 0;
  /// Periods of the quota that have passed while something wanted to run, those of them in which
  /// it was held up, and for how long.
  std::uint64_t periods = 0;
  std::uint64_t throttled_periods = 0;
  std::uint64_t throttled_ns = 0;
  std::optional<Pressure> pressure{};
  bool operator==(const Cpu&) const = default;
};

/// One of memory, swap, and both together.
struct Amount {
  /// kNoLimit where there is none, and 0 where the file is missing.
  std::uint64_t limit_bytes = 0;
  std::uint64_t usage_bytes = 0;
  std::uint64_t peak_bytes = 0;
  bool operator==(const Amount&) const = default;
};

/// The files of the memory controller, and memory.pressure, which is there without it.
struct Memory {
  Amount usage{};
  /// Swap alone, as the kernel has it.
  Amount swap{};
  /// memory.stat, whose keys change with the kernel.
  std::map<std::string, std::uint64_t> raw{};
  std::optional<Pressure> pressure{};
  bool operator==(const Memory&) const = default;
};

/// The files of the pids controller. It counts threads; where it is missing, `current` is the
/// number of processes in the cgroup itself.
struct Pids {
  std::uint64_t current = 0;
  /// 0 is none.
  std::uint64_t limit = 0;
  std::uint64_t peak = 0;
  bool operator==(const Pids&) const = default;
};

/// A number of one device.
struct DeviceCount {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::string_view operation{};  ///< "Read" or "Write"
  std::uint64_t value = 0;
  bool operator==(const DeviceCount&) const = default;
};

/// io.stat, each list in its order, and io.pressure.
struct BlockIo {
  std::vector<DeviceCount> bytes{};
  std::vector<DeviceCount> operations{};
  std::optional<Pressure> pressure{};
  bool operator==(const BlockIo&) const = default;
};

/// Pages of one size.
struct HugePages {
  std::uint64_t usage_bytes = 0;
  std::uint64_t failures = 0;  ///< how often the limit has refused a page
  bool operator==(const HugePages&) const = default;
};

/// All of it. The files are read one after the other, so that numbers of two need not agree.
struct Stats {
  Cpu cpu{};
  /// The CPUs that may be used, "0-3,7"; empty where the cpuset controller is missing.
  std::string cpus{};
  /// Memory nodes, likewise.
  std::string nodes{};
  Memory memory{};
  Pids pids{};
  BlockIo io{};
  std::map<std::string, HugePages> huge_pages{};  ///< by size, as the kernel writes it: "2MB"
  bool operator==(const Stats&) const = default;
};

/// Reads all of it from a cgroup's directory. Throws Error(system) where a file cannot be read, or
/// does not have the form that the kernel documents.
Stats read(sys::FdRef directory);

/// The number of a file like pids.max; kNoLimit for "max". Throws Error(system) naming `file`.
std::uint64_t parse_number(std::string_view text, std::string_view file);
/// The lines "KEY NUMBER" of a file like memory.stat. Throws Error(system) naming `file`.
std::map<std::string, std::uint64_t> parse_table(std::string_view text, std::string_view file);
/// A file like cpu.pressure. Throws Error(system) naming `file`.
Pressure parse_pressure(std::string_view text, std::string_view file);
/// io.stat; devices that have done nothing yet may have no numbers. Throws Error(system).
BlockIo parse_io(std::string_view text);
/// "2MB" for "hugepages-2048kB", the name of a directory in /sys/kernel/mm/hugepages; empty for
/// another name.
std::string size_of_pages(std::string_view directory);

/// The object `data` of an event `stats`, as JSON: keys, their order and what is left out when it
/// is 0 are those of runc's types. `peak` of pids, and `swapOnly` of memory, come in addition.
/// `intel_rdt` is an object in JSON.
std::string as_json(const Stats& stats, std::string_view intel_rdt = "{}");

}  // namespace tare::cgroup_stats
