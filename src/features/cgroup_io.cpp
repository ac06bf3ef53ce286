#include "features/cgroup_io.hpp"

#include <fmt/core.h>

namespace tare::cgroup_io {
namespace {

using cgroup_resources::Spec;
using spec::Reader;

// The range of cgroup v1's blkio.weight, which config.json speaks of.
constexpr std::uint64_t kLowest = 10;
constexpr std::uint64_t kHighest = 1000;

// MAJOR is 12 bits and MINOR 20 in the kernel (linux/kdev_t.h).
constexpr std::int64_t kHighestMajor = (1 << 12) - 1;
constexpr std::int64_t kHighestMinor = (1 << 20) - 1;

std::string device_of(const Reader& entry) {
  return fmt::format("{}:{}", entry.at("major").integer<std::int64_t>(0, kHighestMajor),
                     entry.at("minor").integer<std::int64_t>(0, kHighestMinor));
}

// 0, "not set", where it is absent.
std::uint64_t read_weight(const Reader& object, std::string_view key) {
  const std::optional<Reader> member = object.find(key);
  if (!member) return 0;
  const auto weight = member->integer<std::uint64_t>(0, kHighest);
  if (weight != 0 && weight < kLowest) {
    throw member->error(fmt::format("a weight must be from {} to {}", kLowest, kHighest));
  }
  return weight;
}

// `device` is empty, or "8:0 ".
void add_weight(const Reader& weight, std::string_view device, std::uint64_t value, Spec& spec) {
  add(spec, "io.bfq.weight", fmt::format("{}{}", device, value), weight.pointer());
  spec.writes.back().fallback_file = "io.weight";
  spec.writes.back().fallback_value = fmt::format("{}{}", device, weight_of_blkio(value));
}

void note_leaf_weight(const Reader& object, Spec& spec) {
  if (read_weight(object, "leafWeight") == 0) return;
  spec.ignored.push_back(
      {object.at("leafWeight").pointer(), "cgroup v2 has no weight for the leaves of a cgroup"});
}

void read_weights(const Reader& block_io, Spec& spec) {
  if (const std::uint64_t weight = read_weight(block_io, "weight"); weight != 0) {
    add_weight(block_io.at("weight"), "", weight, spec);
  }
  note_leaf_weight(block_io, spec);
  const std::optional<Reader> devices = block_io.find("weightDevice");
  if (!devices) return;
  for (const Reader& entry : devices->items()) {
    const std::string device = device_of(entry) + " ";
    const std::uint64_t weight = read_weight(entry, "weight");
    if (weight != 0) add_weight(entry.at("weight"), device, weight, spec);
    note_leaf_weight(entry, spec);
  }
}

// A rate of 0 lifts a limit in cgroup v1; cgroup v2 has a word for that and refuses the number.
void read_throttle(const Reader& block_io, std::string_view key, std::string_view name,
                   Spec& spec) {
  const std::optional<Reader> devices = block_io.find(key);
  if (!devices) return;
  for (const Reader& entry : devices->items()) {
    const auto rate = entry.at("rate").integer<std::uint64_t>();
    add(spec, "io.max",
        fmt::format("{} {}={}", device_of(entry), name, rate == 0 ? "max" : std::to_string(rate)),
        entry.pointer());
  }
}

}  // namespace

// Linear, as runc and crun have it; 10 is 1 and 1000 is 10000.
std::uint64_t weight_of_blkio(std::uint64_t weight) noexcept {
  return weight < kLowest ? 0 : 1 + (weight - kLowest) * 9999 / 990;
}

void read(const Reader& resources, Spec& spec) {
  const std::optional<Reader> block_io = resources.find("blockIO");
  if (!block_io) return;
  read_weights(*block_io, spec);
  constexpr std::pair<std::string_view, std::string_view> kThrottles[] = {
      {"throttleReadBpsDevice", "rbps"},
      {"throttleWriteBpsDevice", "wbps"},
      {"throttleReadIOPSDevice", "riops"},
      {"throttleWriteIOPSDevice", "wiops"}};
  for (const auto& [key, name] : kThrottles) read_throttle(*block_io, key, name, spec);
}

}  // namespace tare::cgroup_io
