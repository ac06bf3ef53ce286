#include "features/hooks.hpp"

#include <catch2/catch.hpp>

namespace tare::hooks {
namespace {

Plan read_text(const std::string& text) {
  const spec::Document document("config.json", text);
  return read(document.top());
}

Error failure_of(Stage stage, const std::vector<Hook>& hooks) {
  try {
    run(stage, hooks, "{}", "/");
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing failed");
}

const Hook kTrue{.path = "/bin/true", .arguments = {"true"}};
const Hook kFalse{.path = "/bin/false", .arguments = {"false"}};

TEST_CASE("hooks are planned as they are written", "[hooks]") {
  CHECK(read_text(R"({"hooks": {
          "prestart": [{"path": "/a"}, {"path": "/b", "args": ["b", "-x"], "env": ["K=v"], "timeout": 5}],
          "poststop": [{"path": "/c", "args": []}]}})") ==
        Plan{.prestart = {{.path = "/a", .arguments = {"/a"}},
                          {.path = "/b",
                           .arguments = {"b", "-x"},
                           .environment = {"K=v"},
                           .timeout_seconds = 5}},
             .poststop = {{.path = "/c", .arguments = {"/c"}}}});
}

TEST_CASE("each stage has its hooks and its name", "[hooks]") {
  const auto [stage, name] = GENERATE(table<Stage, std::string>({
      {Stage::prestart, "prestart"},
      {Stage::create_runtime, "createRuntime"},
      {Stage::create_container, "createContainer"},
      {Stage::start_container, "startContainer"},
      {Stage::poststart, "poststart"},
      {Stage::poststop, "poststop"},
  }));
  CHECK(to_string(stage) == name);
  const Plan plan = read_text("{\"hooks\": {\"" + name + "\": [{\"path\": \"/x\"}]}}");
  REQUIRE(plan.at(stage).size() == 1);
  CHECK(plan.at(stage)[0].path == "/x");
}

TEST_CASE("no hooks are none, in any way of writing it", "[hooks]") {
  const std::string text =
      GENERATE("{}", R"({"hooks": null})", R"({"hooks": {}})", R"({"hooks": {"prestart": []}})",
               R"({"hooks": {"poststop": null}})");
  CHECK(read_text(text) == Plan{});
}

TEST_CASE("a hook that cannot be run is refused with its field", "[hooks]") {
  const auto [hook, words] = GENERATE(table<std::string, std::string>({
      {R"({})", "/hooks/poststart/0/path: required, but missing"},
      {R"({"path": "bin/x"})",
       "/hooks/poststart/0/path: the path of a hook must be absolute, not \"bin/x\""},
      {R"({"path": ""})", "/hooks/poststart/0/path: the path of a hook must be absolute, not \"\""},
      {R"({"path": "/x", "timeout": 0})",
       "/hooks/poststart/0/timeout: a timeout must be above 0, not 0"},
      {R"({"path": "/x", "timeout": -1})",
       "/hooks/poststart/0/timeout: a timeout must be above 0, not -1"},
      {R"({"path": "/x", "timeout": 1.5})", "/hooks/poststart/0/timeout: expected a whole number"},
      {R"({"path": "/x", "args": "y"})", "/hooks/poststart/0/args: expected an array"},
      {R"({"path": "/x", "env": [1]})", "/hooks/poststart/0/env/0: expected a string"},
  }));
  CHECK_THROWS_WITH(read_text("{\"hooks\": {\"poststart\": [" + hook + "]}}"),
                    Catch::Contains(words));
}

TEST_CASE("what is written for delete is read back as it was", "[hooks]") {
  const Plan plan{
      .create_runtime = {{.path = "/a\"\\\n\xc3\xa9", .arguments = {"a", ""}}},
      .poststop = {
          {.path = "/b", .arguments = {"b"}, .environment = {"A=1", "B="}, .timeout_seconds = 7},
          {.path = "/c", .arguments = {"c"}}}};
  CHECK(read_text("{\"hooks\": " + to_json(plan) + "}") == plan);
  CHECK(to_json(Plan{}) == "{}");
}

TEST_CASE("hooks run in order until one fails, which is counted from 0", "[hooks]") {
  const Error error = failure_of(Stage::create_runtime, {kTrue, kFalse, {.path = "/never"}});
  CHECK(error.message() ==
        "error running createRuntime hook #1: exit status 1, stdout: , stderr: ");
  CHECK(error.field() == "/hooks/createRuntime/1");
}

TEST_CASE("hooks that all succeed are no error, nor are none", "[hooks]") {
  CHECK_NOTHROW(run(Stage::poststop, {kTrue, kTrue}, "{}", "/"));
  CHECK_NOTHROW(run(Stage::poststop, {}, "{}", "/"));
}

TEST_CASE("each hook is explained with its field and its limit", "[hooks]") {
  Explain effects;
  explain({.start_container = {{.path = "/x", .timeout_seconds = 3}}, .poststop = {{.path = "/y"}}},
          effects);
  REQUIRE(effects.effects().size() == 2);
  CHECK(effects.effects()[0].text ==
        "run /x in the container, right before the program, for at most 3 s");
  CHECK(effects.effects()[0].field == "/hooks/startContainer/0");
  CHECK(effects.effects()[1].text == "run /y on the host, after the container is deleted");
}

}  // namespace
}  // namespace tare::hooks
