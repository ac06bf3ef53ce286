#include "features/seccomp.hpp"

#include <linux/seccomp.h>
#include <seccomp.h>

#include <catch2/catch.hpp>
#include <cerrno>

namespace tare::seccomp {
namespace {

constexpr std::uint32_t kAllow = SCMP_ACT_ALLOW;

Spec read_text(const std::string& seccomp) {
  const spec::Document document("config.json", R"({"seccomp": )" + seccomp + "}");
  return read(document.top(), {});
}

struct Refusal {
  ErrorKind kind = ErrorKind::internal;
  std::string message = "nothing was wrong";
  std::string field{};
};

Refusal refusal(const std::string& seccomp) {
  try {
    read_text(seccomp);
  } catch (const Error& error) {
    return {error.kind(), error.message(), error.field()};
  }
  return {};
}

// A profile with one rule, of which `rest` is everything but the names.
std::string with_rule(const std::string& rest, const std::string& names = R"(["mkdir"])") {
  return R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": )" + names + ", " + rest +
         "}]}";
}

std::uint32_t action_of(const std::string& rest) {
  return read_text(with_rule(rest)).rules.at(0).action;
}

TEST_CASE("a whole profile is planned as it is written", "[seccomp]") {
  const Spec spec = read_text(R"({
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
    "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
    "syscalls": [
      {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
      {"names": ["clone"], "action": "SCMP_ACT_TRACE", "errnoRet": 9, "args": [
        {"index": 0, "value": 2114060288, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"},
        {"index": 5, "value": 18446744073709551615, "op": "SCMP_CMP_NE"}]}]})");
  const Plan expected{
      .enabled = true,
      .default_action = SCMP_ACT_ERRNO(38),
      .architectures = {SCMP_ARCH_X86_64, SCMP_ARCH_X32},
      .flags = SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_TSYNC,
      .rules = {
          {.names = {"read", "write"}, .action = kAllow},
          {.names = {"clone"},
           .action = SCMP_ACT_TRACE(9),
           .arguments = {
               {.index = 0, .value = 2114060288, .value_two = 1, .comparison = SCMP_CMP_MASKED_EQ},
               {.index = 5, .value = ~0ULL, .comparison = SCMP_CMP_NE}}}}};
  CHECK(plan(spec, {}) == expected);
}

TEST_CASE("a profile that asks for nothing is no profile", "[seccomp]") {
  CHECK(plan({}, {}) == Plan{});
  CHECK_FALSE(read_text("{}").present);
  CHECK_FALSE(read_text("null").present);
  CHECK_FALSE(read_text(R"({"defaultAction": "", "syscalls": []})").present);
  CHECK(refusal(R"({"syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW"}]})").message ==
        "config.json /seccomp/defaultAction: required, but missing");
}

TEST_CASE("every action has its value, and EPERM where it carries a number that is not given",
          "[seccomp]") {
  const std::pair<const char*, std::uint32_t> actions[] = {
      {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
      {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
      {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
      {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
      {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(EPERM)},
      {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(EPERM)},
      {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
      {"SCMP_ACT_LOG", SCMP_ACT_LOG},
      {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY}};
  for (const auto& [name, value] : actions) {
    CAPTURE(name);
    CHECK(action_of(R"("action": ")" + std::string(name) + "\"") == value);
  }
  CHECK(action_of(R"("action": "SCMP_ACT_ERRNO", "errnoRet": 0)") == SCMP_ACT_ERRNO(0));
  CHECK(action_of(R"("action": "SCMP_ACT_ERRNO", "errnoRet": 4095)") == SCMP_ACT_ERRNO(4095));
  CHECK(action_of(R"("action": "SCMP_ACT_TRACE", "errnoRet": 65535)") == SCMP_ACT_TRACE(65535));
}

TEST_CASE("an errno is refused with an action that has none, and out of range", "[seccomp]") {
  for (const std::string action :
       {"KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ALLOW", "LOG", "NOTIFY"}) {
    const Refusal found =
        refusal(with_rule(R"("action": "SCMP_ACT_)" + action + R"(", "errnoRet": 1)"));
    CHECK(found.kind == ErrorKind::spec);
    CHECK(found.message ==
          "config.json /seccomp/syscalls/0/errnoRet: SCMP_ACT_" + action + " takes no errno");
    CHECK(found.field == "/seccomp/syscalls/0/errnoRet");
  }
  CHECK(refusal(R"({"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1})").field ==
        "/seccomp/defaultErrnoRet");
  CHECK(refusal(with_rule(R"("action": "SCMP_ACT_ERRNO", "errnoRet": 4096)")).kind ==
        ErrorKind::spec);
  CHECK(refusal(with_rule(R"("action": "SCMP_ACT_ERRNO", "errnoRet": -1)")).kind ==
        ErrorKind::spec);
  CHECK(refusal(with_rule(R"("action": "SCMP_ACT_TRACE", "errnoRet": 65536)")).kind ==
        ErrorKind::spec);
}

TEST_CASE("words that the specification does not have are refused by name", "[seccomp]") {
  const std::string args = R"("action": "SCMP_ACT_KILL", "args": [{"index": 0, "value": 1, "op": )";
  const std::pair<std::string, std::string> cases[] = {
      {R"({"defaultAction": "SCMP_ACT_NO"})",
       "/seccomp/defaultAction: unknown seccomp action \"SCMP_ACT_NO\""},
      {with_rule(R"("action": "ALLOW")"),
       "/seccomp/syscalls/0/action: unknown seccomp action \"ALLOW\""},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NATIVE"]})",
       "/seccomp/architectures/0: unknown seccomp architecture \"SCMP_ARCH_NATIVE\""},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]})",
       "/seccomp/flags/0: unknown seccomp flag \"SECCOMP_FILTER_FLAG_NEW_LISTENER\""},
      {with_rule(args + R"("SCMP_CMP_ZZ"}])"),
       "/seccomp/syscalls/0/args/0/op: unknown seccomp operator \"SCMP_CMP_ZZ\""},
      {with_rule(R"("action": "SCMP_ACT_KILL")", "[]"),
       "/seccomp/syscalls/0: names must contain at least one entry"},
      {with_rule(R"("action": "SCMP_ACT_KILL")", R"([""])"),
       "/seccomp/syscalls/0: empty string is not a valid syscall"},
  };
  for (const auto& [text, message] : cases) {
    const Refusal found = refusal(text);
    CHECK(found.kind == ErrorKind::spec);
    CHECK(found.message == "config.json " + message);
  }
  CHECK(refusal(with_rule(R"("action": "SCMP_ACT_KILL", "args": [{"index": 6, "value": 1, "op": )"
                          R"("SCMP_CMP_EQ"}])"))
            .field == "/seccomp/syscalls/0/args/0/index");
}

TEST_CASE("notify is refused by name for write and as the default", "[seccomp]") {
  const Refusal write =
      refusal(with_rule(R"("action": "SCMP_ACT_NOTIFY")", R"(["read", "write"])"));
  CHECK(write.kind == ErrorKind::spec);
  CHECK(write.message ==
        "config.json /seccomp/syscalls/0: SCMP_ACT_NOTIFY cannot be used for the write syscall");
  CHECK(refusal(R"({"defaultAction": "SCMP_ACT_NOTIFY"})").message ==
        "config.json /seccomp/defaultAction: SCMP_ACT_NOTIFY cannot be used as default action");
}

TEST_CASE("speculation is left alone where no flags are named, and an empty list names none",
          "[seccomp]") {
  const auto flags = [](const std::string& text) {
    return plan(read_text(R"({"defaultAction": "SCMP_ACT_KILL")" + text + "}"), {}).flags;
  };
  CHECK(flags("") == SECCOMP_FILTER_FLAG_SPEC_ALLOW);
  CHECK(flags(R"(, "flags": null)") == SECCOMP_FILTER_FLAG_SPEC_ALLOW);
  CHECK(flags(R"(, "flags": [])") == 0);
  CHECK(flags(R"(, "flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"])") ==
        SECCOMP_FILTER_FLAG_SPEC_ALLOW);
}

TEST_CASE("comparisons of one argument are alternatives, of several a whole", "[seccomp]") {
  const std::string start =
      R"("action": "SCMP_ACT_KILL", "args": [{"index": 0, "value": 1, "op": )";
  const Plan alternatives =
      plan(read_text(with_rule(start + R"("SCMP_CMP_EQ"}, {"index": 1, "value": 3, "op": )"
                                       R"("SCMP_CMP_GT"}, {"index": 0, "value": 2, "op": )"
                                       R"("SCMP_CMP_EQ"}])")),
           {});
  REQUIRE(alternatives.rules.size() == 3);
  CHECK(alternatives.rules[1] ==
        Rule{.names = {"mkdir"},
             .action = SCMP_ACT_KILL,
             .arguments = {{.index = 1, .value = 3, .comparison = SCMP_CMP_GT}}});
  CHECK(alternatives.rules[2].arguments[0].value == 2);
  const Plan whole = plan(
      read_text(
          with_rule(start + R"("SCMP_CMP_EQ"}, {"index": 1, "value": 3, "op": "SCMP_CMP_GT"}])")),
      {});
  REQUIRE(whole.rules.size() == 1);
  CHECK(whole.rules[0].arguments.size() == 2);
}

TEST_CASE("every effect of a filter is explained, and none of a filter that is not there",
          "[seccomp]") {
  Explain none;
  explain({}, none);
  CHECK(none.effects().empty());
  Explain out;
  explain(plan(read_text(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mkdir", "nonesuch", "mseal"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["kill"], "action": "SCMP_ACT_KILL_PROCESS",
             "args": [{"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}]}]})"),
               {}),
          out);
  std::vector<std::string> texts;
  for (const Effect& effect : out.effects()) texts.push_back(effect.text);
  const std::vector<std::string> expected = {
      "fail with \"operation not permitted\": every syscall that no rule names",
      "fail with \"function not implemented\": every syscall newer than all that the rules name, "
      "as "
      "on older kernels",
      "allow: read, write",
      "kill the process: kill, where the arguments match",
      "ignore, as there are no such syscalls: nonesuch",
      "load the filter with flags: SECCOMP_FILTER_FLAG_SPEC_ALLOW"};
  CHECK(texts == expected);
}

TEST_CASE("features names every word that read() takes", "[seccomp]") {
  for (const std::string& name : known_actions()) {
    CAPTURE(name);
    CHECK(refusal(R"({"defaultAction": ")" + name + "\"}").message.find("unknown") ==
          std::string::npos);
  }
  CHECK(known_actions().size() == 9);
  CHECK(known_operators().size() == 7);
  CHECK(known_flags().size() == 4);
  for (const std::string& name : known_architectures()) {
    CAPTURE(name);
    CHECK(read_text(R"({"defaultAction": "SCMP_ACT_KILL", "architectures": [")" + name + "\"]}")
              .architectures.size() == 1);
  }
}

}  // namespace
}  // namespace tare::seccomp
