/// What the reader of one controller's limits makes of a text, for the tests of those controllers.
#pragma once

#include <string>

#include "features/cgroup_write.hpp"
#include "spec/reader.hpp"

namespace tare::test {

using ReadResources = void (*)(const spec::Reader&, cgroup_resources::Spec&);

/// The Spec of a text with the object `resources`. Throws what `read` throws.
inline cgroup_resources::Spec read_resources(ReadResources read, const std::string& resources) {
  const spec::Document document("resources", resources);
  cgroup_resources::Spec spec;
  read(document.top(), spec);
  return spec;
}

/// "rdma.max=mlx5_1 hca_handle=1; ...": what would be written, in its order.
inline std::string resource_writes(ReadResources read, const std::string& resources) {
  std::string text;
  for (const cgroup_resources::Write& write : read_resources(read, resources).writes) {
    text += (text.empty() ? "" : "; ") + write.file + "=" + write.value;
  }
  return text;
}

}  // namespace tare::test
