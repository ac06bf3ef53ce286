#include "features/cgroup_rdma.hpp"

#include <fmt/core.h>

namespace tare::cgroup_rdma {
namespace {

using spec::Reader;

bool is_device_name(std::string_view name) noexcept {
  return !name.empty() && name.find_first_of(" \t\n=") == std::string_view::npos;
}

}  // namespace

void read(const Reader& resources, cgroup_resources::Spec& spec) {
  const std::optional<Reader> devices = resources.find("rdma");
  if (!devices) return;
  for (const auto& [name, limits] : devices->members()) {
    if (!is_device_name(name)) {
      throw limits.error(fmt::format("\"{}\" is no name of an RDMA device", name));
    }
    const auto handles = limits.find_integer<std::uint32_t>("hcaHandles");
    const auto objects = limits.find_integer<std::uint32_t>("hcaObjects");
    if (!handles && !objects) {
      throw limits.error("at least one of hcaHandles and hcaObjects must be set");
    }
    std::string value = name;
    if (handles) value += fmt::format(" hca_handle={}", *handles);
    if (objects) value += fmt::format(" hca_object={}", *objects);
    add(spec, "rdma.max", std::move(value), limits.pointer());
  }
}

}  // namespace tare::cgroup_rdma
