#include "features/time_offsets.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/sched.h>

#include <cerrno>

#include "sys/file.hpp"
#include "sys/process.hpp"

namespace tare::time_offsets {
namespace {

constexpr char kField[] = "/linux/timeOffsets";
constexpr std::string_view kClocks[] = {"monotonic", "boottime"};
constexpr std::uint32_t kLastNanosecond = 999'999'999;

Offset read_offset(const std::string& clock, const spec::Reader& value) {
  Offset offset{.clock = clock, .seconds = value.find_integer<std::int64_t>("secs").value_or(0)};
  if (const std::optional<spec::Reader> nanoseconds = value.find("nanosecs")) {
    offset.nanoseconds = nanoseconds->integer<std::uint32_t>(0, kLastNanosecond);
  }
  return offset;
}

// The text of proc/PID/timens_offsets, which takes a line for each clock in one write.
std::string lines_of(const Plan& plan) {
  std::string lines;
  for (const Offset& offset : plan.offsets) {
    lines += fmt::format("{} {} {}\n", offset.clock, offset.seconds, offset.nanoseconds);
  }
  return lines;
}

void write_offsets(const Plan& plan, sys::FdRef procfs) {
  try {
    sys::write_value(procfs, "self/timens_offsets", lines_of(plan));
  } catch (Error& error) {
    // proc_timens_set_offset, kernel/time/namespace.c.
    if (error.errno_value() == ERANGE) {
      error.set_hint("with its offset a clock must be neither negative nor beyond 146 years");
    }
    throw;
  }
}

}  // namespace

Spec read(const spec::Reader& linux_object) {
  Spec spec;
  const std::optional<spec::Reader> object = linux_object.find("timeOffsets");
  if (!object) return spec;
  for (const auto& [clock, value] : object->members()) {
    if (clock != kClocks[0] && clock != kClocks[1]) {
      throw object->error(fmt::format("unknown clock \"{}\": a time namespace has {} and {}", clock,
                                      kClocks[0], kClocks[1]));
    }
    spec.offsets.push_back(read_offset(clock, value));
  }
  return spec;
}

Plan plan(const Spec& spec, const namespaces::Plan& namespaces) {
  if (spec.offsets.empty()) return {};
  if (namespaces.joins(namespaces::Type::time)) {
    Error error(ErrorKind::spec,
                "time namespace enabled, but both namespace path and time offsets specified -- you "
                "may only provide one");
    error.set_field(kField);
    throw error;
  }
  if (!namespaces.creates(namespaces::Type::time)) {
    Error error(ErrorKind::spec,
                "time namespace offsets specified, but time namespace isn't enabled in the config",
                "add {\"type\": \"time\"} to linux.namespaces");
    error.set_field(kField);
    throw error;
  }
  return {.offsets = spec.offsets};
}

std::uint64_t made_at_birth(const Plan& plan, const namespaces::Plan& namespaces) noexcept {
  if (plan.offsets.empty()) return namespaces.create;
  return namespaces.create & ~clone_flag(namespaces::Type::time);
}

sys::Fd open_in_parent(const Plan& plan) {
  if (plan.offsets.empty()) return sys::Fd();
  return sys::open_at(sys::FdRef::cwd(), "/proc", O_PATH | O_DIRECTORY);
}

void apply_in_init(const Plan& plan, sys::Fd procfs) {
  if (plan.offsets.empty()) return;
  asked_by([] { return kField; },
           [&] {
             sys::unshare(clone_flag(namespaces::Type::time));
             write_offsets(plan, procfs);
             const sys::Fd made = sys::open_at(procfs, "self/ns/time_for_children", O_RDONLY);
             sys::join_namespaces(made, static_cast<int>(clone_flag(namespaces::Type::time)));
           });
}

void explain(const Plan& plan, Explain& out) {
  for (const Offset& offset : plan.offsets) {
    out.add("time_offsets",
            fmt::format("the clock {} is {} s and {} ns ahead of the host's", offset.clock,
                        offset.seconds, offset.nanoseconds),
            fmt::format("{}/{}", kField, offset.clock));
  }
}

}  // namespace tare::time_offsets
