#include "features/cgroup_stats.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "sys/cgroup_file.hpp"
#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::cgroup_stats {
namespace {

constexpr const char* kHugePageSizes = "/sys/kernel/mm/hugepages";

Error not_understood(std::string_view file, std::string_view text) {
  return Error(ErrorKind::system, fmt::format("unable to parse {}: \"{}\"", file, text));
}

// Takes what stands before the next separator off the front, and gives it.
std::string_view cut(std::string_view& text, char separator) noexcept {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

std::uint64_t number_of(std::string_view word, std::string_view file) {
  std::uint64_t number = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, fault] = std::from_chars(word.data(), end, number);
  if (fault == std::errc{} && stop == end) return number;
  // Per-CPU counters are summed up without a lock, and some kernels show the sum below 0.
  std::int64_t negative = 0;
  const auto [stop_below, fault_below] = std::from_chars(word.data(), end, negative);
  if (fault_below == std::errc{} && stop_below == end) return 0;
  throw not_understood(file, word);
}

// "12.34" as 1234: the kernel prints these with two decimals, always.
std::uint64_t hundredths_of(std::string_view word, std::string_view file) {
  std::string_view decimals = word;
  const std::string_view whole = cut(decimals, '.');
  if (decimals.size() != 2) throw not_understood(file, word);
  return number_of(whole, file) * 100 + number_of(decimals, file);
}

Stall parse_stall(std::string_view words, std::string_view file) {
  Stall stall;
  while (!words.empty()) {
    std::string_view value = cut(words, ' ');
    const std::string_view key = cut(value, '=');
    if (key == "avg10") stall.avg10 = hundredths_of(value, file);
    if (key == "avg60") stall.avg60 = hundredths_of(value, file);
    if (key == "avg300") stall.avg300 = hundredths_of(value, file);
    if (key == "total") stall.total_us = number_of(value, file);
  }
  return stall;
}

// nullopt where the controller is missing, or the kernel too old for this file.
std::optional<std::uint64_t> find_number(sys::FdRef directory, const std::string& file) {
  const std::optional<std::string> text = sys::read_value(directory, file);
  if (!text) return std::nullopt;
  return parse_number(*text, file);
}

std::uint64_t number_or_0(sys::FdRef directory, const std::string& file) {
  return find_number(directory, file).value_or(0);
}

std::map<std::string, std::uint64_t> table_of(sys::FdRef directory, const std::string& file) {
  return parse_table(sys::read_value(directory, file).value_or(""), file);
}

// Without CONFIG_PSI, or with cgroup.pressure 0, there is no such file.
std::optional<Pressure> find_pressure(sys::FdRef directory, const std::string& file) {
  const std::optional<std::string> text = sys::read_value(directory, file);
  if (!text) return std::nullopt;
  return parse_pressure(*text, file);
}

Cpu read_cpu(sys::FdRef directory) {
  const std::map<std::string, std::uint64_t> table = table_of(directory, "cpu.stat");
  const auto value = [&table](const char* key) -> std::uint64_t {
    const auto found = table.find(key);
    return found == table.end() ? 0 : found->second;
  };
  return {.total_ns = value("usage_usec") * 1000,
          .kernel_ns = value("system_usec") * 1000,
          .user_ns = value("user_usec") * 1000,
          .periods = value("nr_periods"),
          .throttled_periods = value("nr_throttled"),
          .throttled_ns = value("throttled_usec") * 1000,
          .pressure = find_pressure(directory, "cpu.pressure")};
}

Amount read_amount(sys::FdRef directory, const std::string& what) {
  // memory.peak is there since Linux 5.19, memory.swap.peak since 6.5.
  return {.limit_bytes = number_or_0(directory, what + ".max"),
          .usage_bytes = number_or_0(directory, what + ".current"),
          .peak_bytes = number_or_0(directory, what + ".peak")};
}

Pids read_pids(sys::FdRef directory) {
  const std::optional<std::uint64_t> current = find_number(directory, "pids.current");
  if (current) {
    const std::uint64_t limit = number_or_0(directory, "pids.max");
    return {.current = *current,
            .limit = limit == kNoLimit ? 0 : limit,
            .peak = number_or_0(directory, "pids.peak")};
  }
  // Without the controller the processes can still be counted; a threaded cgroup lists only
  // threads.
  std::optional<std::string> list = sys::read_value(directory, "cgroup.procs");
  if (!list) list = sys::read_value(directory, "cgroup.threads");
  const auto lines = list ? std::ranges::count(*list, '\n') : 0;
  return {.current = static_cast<std::uint64_t>(lines)};
}

std::map<std::string, HugePages> read_huge_pages(sys::FdRef directory) {
  std::map<std::string, HugePages> found;
  const std::optional<sys::Fd> sizes =
      sys::find_at(sys::FdRef::cwd(), kHugePageSizes, O_RDONLY | O_DIRECTORY);
  if (!sizes) return found;
  for (const std::string& name : sys::list_directory(*sizes)) {
    const std::string size = size_of_pages(name);
    if (size.empty()) continue;
    const std::string prefix = "hugetlb." + size;
    // What is reserved counts from Linux 5.7 on, as a mapping that was promised its pages.
    std::optional<std::uint64_t> usage = find_number(directory, prefix + ".rsvd.current");
    if (!usage) usage = find_number(directory, prefix + ".current");
    if (!usage) continue;
    const std::map<std::string, std::uint64_t> events = table_of(directory, prefix + ".events");
    const auto refused = events.find("max");
    found[size] = {.usage_bytes = *usage,
                   .failures = refused == events.end() ? 0 : refused->second};
  }
  return found;
}

std::string read_list(sys::FdRef directory, const std::string& file) {
  std::string text = sys::read_value(directory, file).value_or("");
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// A word "major:minor", of which io.stat has one a line, or several where a device has no numbers:
// kernels before 5.15 end no line for it then.
std::optional<DeviceCount> find_device(std::string_view word, std::string_view file) {
  if (word.find('=') != std::string_view::npos || word.find(':') == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view major = cut(word, ':');
  return DeviceCount{.major = number_of(major, file), .minor = number_of(word, file)};
}

}  // namespace

std::uint64_t parse_number(std::string_view text, std::string_view file) {
  const std::string_view word = cut(text, '\n');
  return word == "max" ? kNoLimit : number_of(word, file);
}

std::map<std::string, std::uint64_t> parse_table(std::string_view text, std::string_view file) {
  std::map<std::string, std::uint64_t> table;
  while (!text.empty()) {
    const std::string_view line = cut(text, '\n');
    std::string_view value = line;
    const std::string_view key = cut(value, ' ');
    if (key.empty() || value.empty()) throw not_understood(file, line);
    table.emplace(key, number_of(value, file));
  }
  return table;
}

Pressure parse_pressure(std::string_view text, std::string_view file) {
  Pressure pressure;
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    const std::string_view kind = cut(line, ' ');
    if (kind == "some") pressure.some = parse_stall(line, file);
    if (kind == "full") pressure.full = parse_stall(line, file);
  }
  return pressure;
}

BlockIo parse_io(std::string_view text) {
  constexpr std::string_view kFile = "io.stat";
  BlockIo io;
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    DeviceCount device;
    while (!line.empty()) {
      std::string_view value = cut(line, ' ');
      if (const std::optional<DeviceCount> next = find_device(value, kFile)) {
        device = *next;
        continue;
      }
      const std::string_view key = cut(value, '=');
      // Keys of controllers, such as cost.usage, come and go with the kernel; v1 has no place for
      // what is discarded.
      if (key != "rbytes" && key != "wbytes" && key != "rios" && key != "wios") continue;
      device.operation = key.starts_with('r') ? "Read" : "Write";
      device.value = number_of(value, kFile);
      (key.ends_with("bytes") ? io.bytes : io.operations).push_back(device);
    }
  }
  return io;
}

std::string size_of_pages(std::string_view directory) {
  constexpr std::string_view kPrefix = "hugepages-";
  constexpr std::string_view kSuffix = "kB";
  if (!directory.starts_with(kPrefix) || !directory.ends_with(kSuffix)) return "";
  directory.remove_prefix(kPrefix.size());
  directory.remove_suffix(kSuffix.size());
  std::uint64_t kib = 0;
  const char* const end = directory.data() + directory.size();
  if (std::from_chars(directory.data(), end, kib).ptr != end || kib == 0) return "";
  // As the names of the cgroup's files have it: mem_fmt() of mm/hugetlb_cgroup.c.
  if (kib >= 1U << 20U) return fmt::format("{}GB", kib >> 20U);
  if (kib >= 1U << 10U) return fmt::format("{}MB", kib >> 10U);
  return fmt::format("{}KB", kib);
}

Stats read(sys::FdRef directory) {
  Stats stats{.cpu = read_cpu(directory),
              .cpus = read_list(directory, "cpuset.cpus.effective"),
              .nodes = read_list(directory, "cpuset.mems.effective"),
              .memory = {.usage = read_amount(directory, "memory"),
                         .swap = read_amount(directory, "memory.swap"),
                         .raw = table_of(directory, "memory.stat"),
                         .pressure = find_pressure(directory, "memory.pressure")},
              .pids = read_pids(directory),
              .io = parse_io(sys::read_value(directory, "io.stat").value_or("")),
              .huge_pages = read_huge_pages(directory)};
  stats.io.pressure = find_pressure(directory, "io.pressure");
  return stats;
}

}  // namespace tare::cgroup_stats
