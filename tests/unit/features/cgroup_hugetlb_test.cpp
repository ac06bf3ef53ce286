#include "features/cgroup_hugetlb.hpp"

#include <catch2/catch.hpp>

#include "resource_writes.hpp"

namespace tare::cgroup_hugetlb {
namespace {

using cgroup_resources::Spec;

Spec read_text(const std::string& resources) {
  return test::read_resources(read, resources);
}

std::string writes(const std::string& resources) {
  return test::resource_writes(read, resources);
}

TEST_CASE("a limit of huge pages is one of using and one of reserving", "[cgroup_hugetlb]") {
  CHECK(writes(R"({"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304},
                                      {"pageSize": "64KB", "limit": 0}]})") ==
        "hugetlb.2MB.max=4194304; hugetlb.2MB.rsvd.max=4194304; hugetlb.64KB.max=0; "
        "hugetlb.64KB.rsvd.max=0");
  CHECK(writes("{}").empty());
  CHECK(writes(R"({"hugepageLimits": []})").empty());
}

TEST_CASE("a page size is a number and a unit, and cannot name another file", "[cgroup_hugetlb]") {
  for (const char* size : {"", "2", "MB", "2mb", "2M", "02MB", "-2MB", "2 MB", "2MB/../../x",
                           "2MB.rsvd", "1TB", "../2MB"}) {
    CAPTURE(size);
    CHECK_THROWS_AS(read_text(std::string(R"({"hugepageLimits": [{"pageSize": ")") + size +
                              R"(", "limit": 1}]})"),
                    Error);
  }
  CHECK_THROWS_AS(read_text(R"({"hugepageLimits": [{"pageSize": "2MB"}]})"), Error);
  CHECK_THROWS_AS(read_text(R"({"hugepageLimits": [{"pageSize": "2MB", "limit": -1}]})"), Error);
}

}  // namespace
}  // namespace tare::cgroup_hugetlb
