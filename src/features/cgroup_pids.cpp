#include "features/cgroup_pids.hpp"

#include <algorithm>
#include <charconv>

namespace tare::cgroup_pids {

using spec::Reader;

Zero zero_of(std::string_view oci_version) noexcept {
  constexpr std::string_view kMajor = "1.";
  unsigned minor = 0;
  if (oci_version.starts_with(kMajor)) {
    const std::string_view rest = oci_version.substr(kMajor.size());
    std::from_chars(rest.data(), rest.data() + rest.size(), minor);
  }
  return minor < 3 ? Zero::no_limit : Zero::limit;
}

void read(const Reader& resources, Zero zero, cgroup_resources::Spec& spec) {
  const std::optional<Reader> pids = resources.find("pids");
  const std::optional<Reader> limit = pids ? pids->find("limit") : std::nullopt;
  if (!limit) return;
  const auto value = limit->integer<std::int64_t>();
  if (value == 0 && zero == Zero::no_limit) return;
  // systemd knows no limit of 0, and runc writes 1 with either driver.
  add(spec, "pids.max", value < 0 ? "max" : std::to_string(std::max<std::int64_t>(value, 1)),
      limit->pointer());
}

}  // namespace tare::cgroup_pids
