#include "features/intel_rdt_stats.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "../../scratch.hpp"

namespace tare::intel_rdt_stats {
namespace {

// A directory tree in place of resctrl, which needs the hardware.
class Tree {
 public:
  Tree() {
    for (const char* path : {"info/L3", "info/MB", "info/L3_MON", "web/mon_data/mon_L3_01",
                             "web/mon_data/mon_L3_00", "web/mon_groups/web/mon_data/mon_L3_00"}) {
      std::filesystem::create_directories(scratch_.path(path));
    }
    write("schemata", "    MB:0=100\n    L3:0=ff\n");
    write("web/schemata", "    MB:0=20\n    L3:0=0f\n    L2:0=3\n");
  }
  void write(const std::string& path, std::string_view text) { scratch_.write(path, text); }
  std::string at(const std::string& path) const { return scratch_.path(path); }
  std::string json(bool l3, bool bandwidth, const std::string& monitoring = "") const {
    return as_json({.directory = at("web"), .monitoring = monitoring},
                   {.mount_point = scratch_.path(), .l3 = l3, .bandwidth = bandwidth});
  }

 private:
  test::Scratch scratch_;
};

TEST_CASE("a container without a group has no statistics of one", "[intel_rdt]") {
  CHECK(as_json({}, {.mount_point = "/r", .l3 = true}) == "{}");
  CHECK(as_json({.directory = "/r/web"}, {}) == "{}");
}

TEST_CASE("the shares of cache and bandwidth are told where the machine has them", "[intel_rdt]") {
  Tree tree;
  tree.write("info/L3/cbm_mask", "ff\n");
  tree.write("info/L3/min_cbm_bits", "1\n");
  tree.write("info/L3/num_closids", "16\n");
  tree.write("info/MB/bandwidth_gran", "10\n");
  tree.write("info/MB/delay_linear", "1\n");
  tree.write("info/MB/min_bandwidth", "10\n");
  tree.write("info/MB/num_closids", "8\n");
  const std::string cache =
      R"("l3_cache_info":{"cbm_mask":"ff","min_cbm_bits":1,"num_closids":16},)"
      R"("l3_cache_schema_root":"L3:0=ff","l3_cache_schema":"L3:0=0f",)";
  const std::string bandwidth =
      R"("mem_bw_info":{"bandwidth_gran":10,"delay_linear":1,"min_bandwidth":10,)"
      R"("num_closids":8},"mem_bw_schema_root":"MB:0=100","mem_bw_schema":"MB:0=20",)";
  const std::string schemata = R"("schemata":["MB:0=20","L3:0=0f","L2:0=3"])";
  CHECK(tree.json(true, true) == "{" + cache + bandwidth + schemata + "}");
  CHECK(tree.json(false, true) == "{" + bandwidth + schemata + "}");
  CHECK(tree.json(false, false) == "{" + schemata + "}");
}

TEST_CASE("what is monitored is told domain by domain", "[intel_rdt]") {
  Tree tree;
  tree.write("info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n");
  tree.write("web/mon_data/mon_L3_00/mbm_total_bytes", "5\n");
  tree.write("web/mon_data/mon_L3_00/mbm_local_bytes", "4\n");
  tree.write("web/mon_data/mon_L3_00/llc_occupancy", "3\n");
  tree.write("web/mon_data/mon_L3_01/llc_occupancy", "Unavailable\n");
  CHECK_THAT(tree.json(false, false),
             Catch::EndsWith(R"("mbm_stats":[{"mbm_total_bytes":5,"mbm_local_bytes":4},)"
                             R"({"mbm_total_bytes":0,"mbm_local_bytes":0}],)"
                             R"("cmt_stats":[{"llc_occupancy":3},{"llc_occupancy":0}]})"));
}

TEST_CASE("a monitoring group of the container's own is the one that counts", "[intel_rdt]") {
  Tree tree;
  tree.write("info/L3_MON/mon_features", "llc_occupancy\n");
  tree.write("web/mon_data/mon_L3_00/llc_occupancy", "3\n");
  tree.write("web/mon_groups/web/mon_data/mon_L3_00/llc_occupancy", "2\n");
  CHECK_THAT(
      tree.json(false, false, tree.at("web/mon_groups/web")),
      Catch::EndsWith(R"(,"cmt_stats":[{"llc_occupancy":2}]})") && !Catch::Contains("mbm_stats"));
}

}  // namespace
}  // namespace tare::intel_rdt_stats
