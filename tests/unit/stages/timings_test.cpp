#include "stages/timings.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../../scratch.hpp"

namespace tare::stages {
namespace {

using nlohmann::json;
using test::Scratch;

TEST_CASE("steps follow one another without a gap, on a clock that goes on", "[timings]") {
  Steps steps(true);
  steps.begin("one");
  steps.begin("two");
  const std::vector<Step> found = steps.finish();
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "one");
  CHECK(found[0].begin_ns > 0);
  CHECK(found[0].begin_ns <= found[0].end_ns);
  CHECK(found[1].begin_ns == found[0].end_ns);
  CHECK(found[1].end_ns >= found[1].begin_ns);
  // What has ended stays as it was.
  CHECK(steps.finish() == found);
}

TEST_CASE("nothing is kept where nobody asks", "[timings]") {
  Steps steps;
  steps.begin("one");
  CHECK(steps.finish().empty());
  CHECK(steps.encode().empty());
  Timings timings("");
  timings.steps.begin("one");
  CHECK_NOTHROW(timings.write());
}

TEST_CASE("steps come to the other process as they were", "[timings]") {
  Steps steps(true);
  steps.begin("open sources");
  steps.begin("clone");
  CHECK(decode_steps(steps.encode()) == steps.finish());
}

TEST_CASE("what is no step is left out, and no name gives orders to a terminal", "[timings]") {
  CHECK(decode_steps("").empty());
  CHECK(decode_steps("x 1 a\n1 x a\n1\n1 2\n1 99999999999999999999 a\n\n").empty());
  CHECK(decode_steps("1 2 a\x1b[2Jb\xff") == std::vector<Step>{{"a?[2Jb?", 1, 2}});
}

const std::vector<Step> kRuntime = {{"clone", 1'000'000, 1'002'500},
                                    {"attend", 1'002'500, 1'009'000}};
const std::vector<Step> kInit = {{"say \"x\"", 1'004'001, 1'005'000}};

TEST_CASE("a trace is Chrome's: microseconds from the first step, each process on its own line",
          "[timings]") {
  const json trace = json::parse(trace_of(kRuntime, kInit));
  const json& events = trace["traceEvents"];
  REQUIRE(events.size() == 5);
  CHECK(events[0]["args"]["name"] == "runtime");
  CHECK(events[1]["args"]["name"] == "init");
  CHECK(events[2] ==
        json::parse(R"({"name": "clone", "ph": "X", "pid": 1, "tid": 0, "ts": 0.0, "dur": 2.5})"));
  CHECK(events[3]["ts"] == 2.5);
  CHECK(events[4] == json::parse(R"({"name": "say \"x\"", "ph": "X", "pid": 2, "tid": 0,
                                     "ts": 4.001, "dur": 0.999})"));
}

TEST_CASE("a table has a line for each step, in the order of their begins", "[timings]") {
  CHECK(table_of(kRuntime, kInit) ==
        "       at us      for us  in       step\n"
        "       0.000       2.500  runtime  clone\n"
        "       2.500       6.500  runtime  attend\n"
        "       4.001       0.999  init     say \"x\"\n");
}

TEST_CASE("a clock that was set back makes no step of less than nothing", "[timings]") {
  CHECK(table_of({{"one", 5000, 4000}}, {}).ends_with("       0.000       0.000  runtime  one\n"));
}

TEST_CASE("a file called .json gets the trace, and another one the table", "[timings]") {
  const Scratch scratch;
  for (const char* name : {"t.json", "t.txt"}) {
    CAPTURE(name);
    Timings timings(scratch.path(name));
    timings.steps.begin("one");
    timings.write();
    CHECK((scratch.read(name)[0] == '{') == (std::string_view(name) == "t.json"));
  }
  CHECK_THROWS_WITH(Timings(scratch.path("no/file")), Catch::StartsWith("timings: open "));
}

}  // namespace
}  // namespace tare::stages
