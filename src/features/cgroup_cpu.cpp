#include "features/cgroup_cpu.hpp"

#include <fmt/core.h>

#include <cmath>

namespace tare::cgroup_cpu {
namespace {

using cgroup_resources::Base;
using cgroup_resources::Spec;
using spec::Reader;

constexpr std::int64_t kUnlimited = -1;

// Quota and period are one file. The burst comes first, and again afterwards where the kernel did
// not take it beside the quota that still held (cgroup_resources.cpp).
void read_bandwidth(const Reader& cpu, const Base& base, Spec& spec) {
  const std::optional<Reader> quota = cpu.find("quota");
  const auto period = cpu.find_integer<std::uint64_t>("period").value_or(0);
  if (const std::optional<Reader> burst = cpu.find("burst")) {
    add(spec, "cpu.max.burst", std::to_string(burst->integer<std::uint64_t>()), burst->pointer());
  }
  const std::int64_t quota_us = quota ? quota->integer<std::int64_t>(kUnlimited) : 0;
  if (quota_us == 0 && period == 0) return;
  std::string first = base.cpu_quota;
  if (quota_us != 0) first = quota_us < 0 ? "max" : std::to_string(quota_us);
  add(spec, "cpu.max", fmt::format("{} {}", first, period != 0 ? period : base.cpu_period_us),
      quota_us != 0 ? quota->pointer() : cpu.at("period").pointer());
}

void note_what_is_left_alone(const Reader& cpu, Spec& spec) {
  constexpr std::string_view kWhy = "cgroup v2 has no limits of realtime scheduling";
  const auto note = [&](std::string_view key) {
    spec.ignored.push_back({cpu.at(key).pointer(), std::string(kWhy)});
  };
  if (cpu.find_integer<std::int64_t>("realtimeRuntime").value_or(0) != 0) note("realtimeRuntime");
  if (cpu.find_integer<std::uint64_t>("realtimePeriod").value_or(0) != 0) note("realtimePeriod");
}

}  // namespace

// Shares go from 2 over a default of 1024 to 262144, weights from 1 over 100 to 10000: this
// quadratic of the logarithm, which runc and crun use too, meets all three.
std::uint64_t weight_of_shares(std::uint64_t shares) noexcept {
  if (shares == 0) return 0;
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const double l = std::log2(static_cast<double>(shares));
  const double exponent = (l * l + 125 * l) / 612.0 - 7.0 / 34.0;
  return static_cast<std::uint64_t>(std::ceil(std::pow(10, exponent)));
}

void read(const Reader& resources, const Base& base, Spec& spec) {
  const std::optional<Reader> found = resources.find("cpu");
  if (!found) return;
  const Reader& cpu = *found;
  // Before cpu.weight: the kernel takes no weight while a cgroup is idle.
  const auto idle = cpu.find_integer<std::int64_t>("idle");
  if (idle) add(spec, "cpu.idle", std::to_string(*idle), cpu.at("idle").pointer());
  if (const auto shares = cpu.find_integer<std::uint64_t>("shares"); shares.value_or(0) != 0) {
    const Reader field = cpu.at("shares");
    if (idle.value_or(0) != 0) throw field.error("a cgroup that is idle has no shares");
    add(spec, "cpu.weight", std::to_string(weight_of_shares(*shares)), field.pointer());
  }
  read_bandwidth(cpu, base, spec);
  for (const auto& [key, file] : {std::pair{"cpus", "cpuset.cpus"}, {"mems", "cpuset.mems"}}) {
    const std::string list = cpu.string_or(key, "");
    if (!list.empty()) add(spec, file, list, cpu.at(key).pointer());
  }
  note_what_is_left_alone(cpu, spec);
}

}  // namespace tare::cgroup_cpu
