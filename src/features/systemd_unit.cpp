#include "features/systemd_unit.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "tare/error.hpp"

namespace tare::systemd_unit {
namespace {

constexpr std::string_view kField = "/linux/cgroupsPath";
constexpr std::string_view kSlice = ".slice";
constexpr std::string_view kScope = ".scope";
constexpr std::string_view kDefaultPrefix = "tare";
// systemd's UNIT_NAME_MAX.
constexpr std::size_t kLongestName = 255;

Error refusal(std::string text) {
  Error error(ErrorKind::spec, std::move(text));
  error.set_field(std::string(kField));
  return error;
}

// systemd's VALID_CHARS (src/basic/unit-name.c), without '@', which makes a template.
bool is_name_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(":-_.\\").find(c) != std::string_view::npos;
}

void check_name(std::string_view name) {
  if (name.size() > kLongestName || !std::ranges::all_of(name, is_name_letter)) {
    throw refusal(fmt::format("\"{}\" cannot be the name of a systemd unit", name));
  }
}

// "/user.slice/user-1000.slice/user@1000.service" out of "/user.slice/user-1000.slice/…".
std::string manager_of(std::string_view own) {
  constexpr std::string_view kUserSlice = "/user.slice/user-";
  const std::size_t start = own.find(kUserSlice);
  if (start == own.npos) return {};
  const std::size_t digits = start + kUserSlice.size();
  const std::size_t end = own.find(kSlice, digits);
  const std::string_view uid = own.substr(digits, end == own.npos ? 0 : end - digits);
  const bool is_uid =
      !uid.empty() && std::ranges::all_of(uid, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_uid) return {};
  return fmt::format("{}/user@{}.service", own.substr(0, end + kSlice.size()), uid);
}

}  // namespace

Unit unit_of(const std::string& cgroups_path, const std::string& id, const Host& host) {
  Unit unit{.user = host.rootless};
  std::string prefix(kDefaultPrefix);
  std::string name = id;
  if (!cgroups_path.empty()) {
    const std::size_t first = cgroups_path.find(':');
    const std::size_t second =
        first == std::string::npos ? first : cgroups_path.find(':', first + 1);
    if (second == std::string::npos || cgroups_path.find(':', second + 1) != std::string::npos) {
      // runc's words.
      throw refusal(
          fmt::format("expected cgroupsPath to be of format \"slice:prefix:name\" for "
                      "systemd cgroups, got \"{}\" instead",
                      cgroups_path));
    }
    unit.slice = cgroups_path.substr(0, first);
    prefix = cgroups_path.substr(first + 1, second - first - 1);
    name = cgroups_path.substr(second + 1);
  }
  if (name.empty()) throw refusal(fmt::format("\"{}\" names no unit", cgroups_path));
  if (name.ends_with(kSlice)) {
    throw refusal(fmt::format("\"{}\" is a slice, and a process cannot be in one", name));
  }
  unit.name = prefix.empty() ? name : prefix + "-" + name;
  unit.name += kScope;
  check_name(unit.name);
  if (unit.slice.empty()) unit.slice = unit.user ? "user.slice" : "system.slice";
  return unit;
}

std::string expand_slice(std::string_view slice) {
  check_name(slice);
  const auto invalid = [&] { return refusal(fmt::format("invalid slice name: {}", slice)); };
  if (!slice.ends_with(kSlice) || slice.size() == kSlice.size()) throw invalid();
  const std::string_view name = slice.substr(0, slice.size() - kSlice.size());
  if (name == "-") return {};
  std::string path;
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t end = std::min(name.find('-', start), name.size());
    if (end == start) throw invalid();
    path += fmt::format("/{}{}", name.substr(0, end), kSlice);
    start = end + 1;
  }
  return path;
}

std::string path_of(const Unit& unit, const Host& host) {
  std::string inner = expand_slice(unit.slice) + "/" + unit.name;
  if (!unit.user) return inner;
  const std::string manager = manager_of(host.cgroup.own);
  if (manager.empty()) {
    throw Error(ErrorKind::unsupported,
                fmt::format("no systemd of this user: the caller's cgroup {} is in no user slice",
                            host.cgroup.own),
                "start it from a login of the user, or use the cgroupfs driver");
  }
  return manager + inner;
}

}  // namespace tare::systemd_unit
