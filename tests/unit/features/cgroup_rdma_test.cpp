#include "features/cgroup_rdma.hpp"

#include <catch2/catch.hpp>

#include "resource_writes.hpp"

namespace tare::cgroup_rdma {
namespace {

using cgroup_resources::Spec;

Spec read_text(const std::string& resources) {
  return test::read_resources(read, resources);
}

std::string writes(const std::string& resources) {
  return test::resource_writes(read, resources);
}

TEST_CASE("each RDMA device is a line of rdma.max", "[cgroup_rdma]") {
  CHECK(writes(R"({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000},
                            "mlx4_0": {"hcaObjects": 1000}, "rxe3": {"hcaHandles": 0}}})") ==
        "rdma.max=mlx4_0 hca_object=1000; rdma.max=mlx5_1 hca_handle=3 hca_object=10000; "
        "rdma.max=rxe3 hca_handle=0");
  CHECK(writes(R"({"rdma": {}})").empty());
}

TEST_CASE("an RDMA limit of nothing, of no device or out of range is refused", "[cgroup_rdma]") {
  for (const char* text :
       {R"({"a": {}})", R"({"": {"hcaHandles": 1}})", R"({"a b": {"hcaHandles": 1}})",
        R"({"a\nb": {"hcaHandles": 1}})", R"({"a": {"hcaHandles": -1}})",
        R"({"a": {"hcaObjects": 4294967296}})", R"({"a": 3})", R"([])"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read_text(std::string(R"({"rdma": )") + text + "}"), Error);
  }
}

}  // namespace
}  // namespace tare::cgroup_rdma
