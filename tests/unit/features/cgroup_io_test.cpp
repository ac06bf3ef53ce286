#include "features/cgroup_io.hpp"

#include <catch2/catch.hpp>

#include "resource_writes.hpp"

namespace tare::cgroup_io {
namespace {

using cgroup_resources::Spec;

Spec read_text(const std::string& resources) {
  return test::read_resources(read, resources);
}

std::string writes(const std::string& resources) {
  return test::resource_writes(read, resources);
}

TEST_CASE("a weight is written as it is for BFQ, and converted for io.weight", "[cgroup_io]") {
  CHECK(read_text(R"({"blockIO": {"weight": 500, "weightDevice": [
                        {"major": 8, "minor": 16, "weight": 1000}]}})")
            .writes ==
        std::vector<cgroup_resources::Write>{{.controller = "io",
                                              .file = "io.bfq.weight",
                                              .value = "500",
                                              .pointer = "/blockIO/weight",
                                              .fallback_file = "io.weight",
                                              .fallback_value = "4950"},
                                             {.controller = "io",
                                              .file = "io.bfq.weight",
                                              .value = "8:16 1000",
                                              .pointer = "/blockIO/weightDevice/0/weight",
                                              .fallback_file = "io.weight",
                                              .fallback_value = "8:16 10000"}});
}

TEST_CASE("weights become those that runc gives", "[cgroup_io]") {
  const std::pair<std::uint64_t, std::uint64_t> table[] = {
      {0, 0}, {10, 1}, {11, 11}, {100, 910}, {500, 4950}, {750, 7475}, {1000, 10000}};
  for (const auto& [blkio, weight] : table) {
    CAPTURE(blkio);
    CHECK(weight_of_blkio(blkio) == weight);
  }
}

TEST_CASE("throttles are lines of io.max, and a rate of 0 lifts one", "[cgroup_io]") {
  CHECK(writes(R"({"blockIO": {
          "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 18446744073709551615},
                                    {"major": 8, "minor": 16, "rate": 0}],
          "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 2}],
          "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 3}],
          "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 4}]}})") ==
        "io.max=8:0 rbps=18446744073709551615; io.max=8:16 rbps=max; io.max=8:0 wbps=2; "
        "io.max=8:0 riops=3; io.max=8:0 wiops=4");
}

TEST_CASE("what asks for nothing of the io controller gives nothing", "[cgroup_io]") {
  CHECK(writes("{}").empty());
  CHECK(writes(R"({"blockIO": {"weight": 0, "leafWeight": 0, "weightDevice": [],
                               "throttleReadBpsDevice": null}})")
            .empty());
}

TEST_CASE("weights and devices that cannot be are refused by field", "[cgroup_io]") {
  const std::pair<const char*, const char*> table[] = {
      {R"({"weight": 9})", "/blockIO/weight"},
      {R"({"weight": 1001})", "/blockIO/weight"},
      {R"({"weight": "500"})", "/blockIO/weight"},
      {R"({"leafWeight": 1})", "/blockIO/leafWeight"},
      {R"({"weightDevice": [{"minor": 0, "weight": 100}]})", "/blockIO/weightDevice/0/major"},
      {R"({"weightDevice": [{"major": 8, "minor": -1, "weight": 100}]})",
       "/blockIO/weightDevice/0/minor"},
      {R"({"throttleReadBpsDevice": [{"major": 4096, "minor": 0, "rate": 1}]})",
       "/blockIO/throttleReadBpsDevice/0/major"},
      {R"({"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": -1}]})",
       "/blockIO/throttleWriteIOPSDevice/0/rate"},
      {R"({"throttleReadBpsDevice": [{"major": 8, "minor": 0}]})",
       "/blockIO/throttleReadBpsDevice/0/rate"}};
  for (const auto& [text, pointer] : table) {
    CAPTURE(text);
    try {
      read_text(std::string(R"({"blockIO": )") + text + "}");
      FAIL("nothing was wrong");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::spec);
      CHECK(error.field() == pointer);
    }
  }
}

}  // namespace
}  // namespace tare::cgroup_io
