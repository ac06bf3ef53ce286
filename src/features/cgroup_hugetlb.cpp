#include "features/cgroup_hugetlb.hpp"

#include <fmt/core.h>

namespace tare::cgroup_hugetlb {
namespace {

using spec::Reader;

// "64KB", "2MB", "1GB": what the specification demands, and how the kernel names its files.
// Anything else could be the name of another file.
bool is_page_size(std::string_view text) noexcept {
  const std::size_t digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || text[0] == '0') return false;
  const std::string_view unit = text.substr(digits);
  return unit == "KB" || unit == "MB" || unit == "GB";
}

}  // namespace

void read(const Reader& resources, cgroup_resources::Spec& spec) {
  const std::optional<Reader> limits = resources.find("hugepageLimits");
  if (!limits) return;
  for (const Reader& entry : limits->items()) {
    const Reader size = entry.at("pageSize");
    const std::string name = size.string();
    if (!is_page_size(name)) {
      throw size.error(
          fmt::format("\"{}\" is no page size: expected a number and KB, MB or GB", name));
    }
    const Reader limit = entry.at("limit");
    const std::string value = std::to_string(limit.integer<std::uint64_t>());
    add(spec, fmt::format("hugetlb.{}.max", name), value, limit.pointer());
    // Without it a process could map more than its limit, and be killed when it touches the memory.
    add(spec, fmt::format("hugetlb.{}.rsvd.max", name), value, limit.pointer());
  }
}

}  // namespace tare::cgroup_hugetlb
