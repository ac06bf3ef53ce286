#include "features/intel_rdt.hpp"

#include <catch2/catch.hpp>

#include "../../scratch.hpp"

namespace tare::intel_rdt {
namespace {

Spec read_text(const std::string& rdt) {
  const spec::Document document("config.json", R"({"linux": {"intelRdt": )" + rdt + "}}");
  return read(document.top().at("linux"));
}

Host host_with(const std::string& mount_point, bool l3 = true, bool bandwidth = true) {
  Host host;
  host.resctrl = {.mount_point = mount_point, .l3 = l3, .bandwidth = bandwidth};
  return host;
}

constexpr char kWhole[] = R"({"closID": "gold", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20",
                              "schemata": ["L2:0=3"], "enableMonitoring": true})";

TEST_CASE("lines are written in the specification's order", "[intel_rdt]") {
  CHECK(plan(read_text(kWhole), "web", host_with("/r")) ==
        Plan{.root = "/r",
             .group = {"/r/gold", "/r/gold/mon_groups/web", false},
             .schemata = {{"L3:0=f", "/linux/intelRdt/l3CacheSchema"},
                          {"MB:0=20", "/linux/intelRdt/memBwSchema"},
                          {"L2:0=3", "/linux/intelRdt/schemata/0"}},
             .shared = true});
}

TEST_CASE("without a closID the class is the container's own", "[intel_rdt]") {
  CHECK(plan(read_text(R"({"l3CacheSchema": "L3:0=f"})"), "web", host_with("/r")).group ==
        ResctrlGroup{"/r/web", "", true});
  CHECK(plan(read_text(R"({"closID": "/"})"), "web", host_with("/r")).group ==
        ResctrlGroup{"/r", "", false});
}

TEST_CASE("what asks for nothing leaves resctrl alone", "[intel_rdt]") {
  CHECK(plan(read_text("{}"), "web", host_with("")) == Plan{});
  CHECK(plan(read_text("null"), "web", host_with("")) == Plan{});
}

TEST_CASE("an id that leaves resctrl and a schema of several lines are refused", "[intel_rdt]") {
  for (const char* text :
       {R"({"closID": "."})", R"({"closID": ".."})", R"({"closID": "a/b"})", R"({"closID": "/a"})",
        R"({"closID": "a\nb"})", R"({"closID": 3})", R"({"l3CacheSchema": "L3:0=f\nMB:0=1"})",
        R"({"memBwSchema": "L3:0=f"})", R"({"schemata": ["a\n"]})", R"({"schemata": "a"})", "[]",
        R"({"enableMonitoring": "yes"})"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read_text(text), Error);
  }
}

TEST_CASE("what the machine has not got is refused in runc's words", "[intel_rdt]") {
  const Spec spec = read_text(kWhole);
  CHECK_THROWS_WITH(plan(spec, "web", host_with("")),
                    "intelRdt is specified in config, but Intel RDT is not enabled");
  CHECK_THROWS_WITH(
      plan(spec, "web", host_with("/r", false)),
      "intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is not enabled");
  CHECK_THROWS_WITH(
      plan(spec, "web", host_with("/r", true, false)),
      "intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not enabled");
}

TEST_CASE("schemata are compared by what they say", "[intel_rdt]") {
  constexpr std::string_view kFile = "    L3:0=0ff;1=00f\n    MB:0= 20;1=100\n";
  CHECK(agrees(kFile, "L3:1=f;0=ff", 1));
  CHECK(agrees(kFile, "L3:0=FF", 1));
  CHECK_FALSE(agrees(kFile, "L3:0=fe", 1));
  CHECK_FALSE(agrees(kFile, "L3:2=ff", 1));
  CHECK_FALSE(agrees(kFile, "L2:0=ff", 1));
  CHECK_FALSE(agrees(kFile, "L3:0", 1));
  CHECK(agrees(kFile, "MB:0=20", 10));
  CHECK(agrees(kFile, "MB:0=11", 10));
  CHECK_FALSE(agrees(kFile, "MB:0=11", 1));
}

// A tree of plain files in place of resctrl, in which a new group has no files of its own.
class Tree {
 public:
  Tree() {
    for (const char* name : {"gold", "gold/mon_groups", "gold/mon_groups/web"}) {
      sys::make_directory(scratch.fd(), name, 0755);
    }
    scratch.write("gold/schemata", "L3:0=f\nMB:0=20\nL2:0=3\n");
    scratch.write("gold/tasks", "");
    scratch.write("gold/mon_groups/web/tasks", "");
  }
  Plan planned(const std::string& rdt) const {
    return plan(read_text(rdt), "web", host_with(scratch.path()));
  }
  test::Scratch scratch;
};

TEST_CASE("a class that exists is joined where its schemata agree, and kept", "[intel_rdt]") {
  const Tree tree;
  const Plan plan = tree.planned(kWhole);
  CHECK(apply_in_parent(plan).empty());
  add_process(plan.group, 4242);
  CHECK(tree.scratch.read("gold/tasks") == "4242");
  CHECK(tree.scratch.read("gold/mon_groups/web/tasks") == "4242");
  remove(plan.group);
  CHECK(tree.scratch.has("gold/schemata"));
}

TEST_CASE("a class that exists with other schemata is refused and not changed", "[intel_rdt]") {
  const Tree tree;
  const Plan plan = tree.planned(R"({"closID": "gold", "l3CacheSchema": "L3:0=3"})");
  CHECK_THROWS_WITH(apply_in_parent(plan),
                    Catch::Matchers::Contains("\"L3:0=3\" is not what") &&
                        Catch::Matchers::Contains("the class exists already"));
  CHECK(tree.scratch.read("gold/schemata") == "L3:0=f\nMB:0=20\nL2:0=3\n");
}

TEST_CASE("a class without schemata must exist", "[intel_rdt]") {
  const Tree tree;
  CHECK_THROWS_WITH(
      apply_in_parent(tree.planned(R"({"closID": "silver"})")),
      Catch::Matchers::StartsWith("clos dir not accessible (must be pre-created when schemata, "
                                  "l3CacheSchema and memBwSchema are empty)"));
  CHECK_FALSE(tree.scratch.has("silver"));
}

TEST_CASE("a group whose schemata are refused is gone again, with the kernel's reason",
          "[intel_rdt]") {
  const Tree tree;
  sys::make_directory(tree.scratch.fd(), "info", 0755);
  tree.scratch.write("info/last_cmd_status", "Mask out of range\n");
  CHECK_THROWS_WITH(apply_in_parent(tree.planned(R"({"l3CacheSchema": "L3:0=f"})")),
                    Catch::Matchers::Contains("(last_cmd_status: Mask out of range)"));
  CHECK_FALSE(tree.scratch.has("web"));
}

TEST_CASE("a class of its own is made and removed", "[intel_rdt]") {
  const Tree tree;
  const Plan plan = tree.planned(R"({"enableMonitoring": false})");
  CHECK(apply_in_parent(plan) == std::vector<std::string>{tree.scratch.path("web")});
  CHECK(tree.scratch.has("web"));
  CHECK(remove(plan.group));
  CHECK_FALSE(tree.scratch.has("web"));
  CHECK(remove(plan.group));
}

TEST_CASE("an update is refused in runc's words, and gives back what was there", "[intel_rdt]") {
  const Tree tree;
  const ResctrlGroup gold{tree.scratch.path("gold"), "", false};
  CHECK_THROWS_WITH(check_update(true, false, gold, host_with("/r", false)),
                    "Intel RDT/CAT: l3 cache schema is not enabled");
  CHECK_THROWS_WITH(check_update(false, true, gold, host_with("/r", true, false)),
                    "Intel RDT/MBA: memory bandwidth schema is not enabled");
  CHECK_THROWS_WITH(check_update(true, true, {}, host_with("/r")),
                    "updating a non-existent Intel RDT configuration is not supported");
  CHECK_NOTHROW(check_update(false, false, {}, host_with("")));
  CHECK(replace_schemata(gold, {{"L3:0=1", ""}}, tree.scratch.path()) ==
        "L3:0=f\nMB:0=20\nL2:0=3\n");
  CHECK(tree.scratch.read("gold/schemata").starts_with("L3:0=1\n"));
}

TEST_CASE("the group and every line are explained", "[intel_rdt]") {
  Explain out;
  explain(plan(read_text(kWhole), "web", host_with("/r")), out);
  REQUIRE(out.effects().size() == 5);
  CHECK(out.effects()[0].text == "put init into /r/gold");
  CHECK(out.effects()[1].field == "/linux/intelRdt/l3CacheSchema");
  CHECK(out.effects()[4].text == "monitor it in /r/gold/mon_groups/web");
}

}  // namespace
}  // namespace tare::intel_rdt
