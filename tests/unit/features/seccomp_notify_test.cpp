#include "features/seccomp_notify.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <catch2/catch.hpp>

#include "features/seccomp_table.hpp"

namespace tare::seccomp {
namespace {

constexpr char kProgram[] = "run.oci.seccomp_bpf_data";
constexpr char kReceiver[] = "run.oci.seccomp.receiver";

Spec read_both(const std::string& seccomp, const Annotations& annotations = {}) {
  const spec::Document document("config.json", R"({"seccomp": )" + seccomp + "}");
  return read(document.top(), annotations);
}

// A profile that notifies of mkdir, and whatever else `rest` says.
std::string notifying(const std::string& rest = {}) {
  return R"({"defaultAction": "SCMP_ACT_ALLOW",
             "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}])" +
         rest + "}";
}

struct Refusal {
  ErrorKind kind = ErrorKind::internal;
  std::string message = "nothing was wrong";
  std::string field{};
};

Refusal refusal(const std::string& seccomp, const Annotations& annotations = {},
                const std::string& receiver = {}) {
  try {
    plan(read_both(seccomp, annotations), {}, receiver);
  } catch (const Error& error) {
    return {error.kind(), error.message(), error.field()};
  }
  return {};
}

std::uint32_t flags_of(const std::string& seccomp) {
  return plan(read_both(seccomp), {}).flags;
}

TEST_CASE("a whole profile with a listener is planned as it is written", "[seccomp_notify]") {
  const Plan expected{.enabled = true,
                      .default_action = SCMP_ACT_ALLOW,
                      .flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_NEW_LISTENER,
                      .rules = {{.names = {"mkdir"}, .action = SCMP_ACT_NOTIFY}},
                      .listener = {.path = "/run/agent", .metadata = "for you"}};
  CHECK(
      plan(read_both(notifying(R"(, "listenerPath": "/run/agent", "listenerMetadata": "for you")")),
           {}) == expected);
}

TEST_CASE("a listener is asked for if and only if an action needs it", "[seccomp_notify]") {
  const std::string path = R"(, "listenerPath": "/run/agent")";
  CHECK((flags_of(notifying(path)) & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0);
  CHECK(flags_of(R"({"defaultAction": "SCMP_ACT_ALLOW")" + path + "}") ==
        SECCOMP_FILTER_FLAG_SPEC_ALLOW);
}

TEST_CASE("flags that only a listener has a use for go without one, and TSYNC tells its error",
          "[seccomp_notify]") {
  const std::string path = R"(, "listenerPath": "/run/agent")";
  const std::string killable = R"(, "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])";
  const std::string synced = R"(, "flags": ["SECCOMP_FILTER_FLAG_TSYNC"])";
  CHECK(flags_of(R"({"defaultAction": "SCMP_ACT_ALLOW")" + killable + "}") == 0);
  CHECK(flags_of(notifying(path + killable)) == (SECCOMP_FILTER_FLAG_NEW_LISTENER | kWaitKillable));
  CHECK(flags_of(R"({"defaultAction": "SCMP_ACT_ALLOW")" + synced + "}") ==
        SECCOMP_FILTER_FLAG_TSYNC);
  CHECK(flags_of(notifying(path + synced)) ==
        (SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC |
         SECCOMP_FILTER_FLAG_TSYNC_ESRCH));
}

TEST_CASE("the path is the config's, else the annotation's, else the variable's",
          "[seccomp_notify]") {
  const auto path_of = [](const std::string& rest, const Annotations& annotations) {
    return plan(read_both(notifying(rest), annotations), {}, "/from/variable").listener.path;
  };
  const Annotations annotated = {{kReceiver, "/from/annotation"}};
  CHECK(path_of(R"(, "listenerPath": "/from/config")", annotated) == "/from/config");
  CHECK(path_of("", annotated) == "/from/annotation");
  CHECK(path_of(R"(, "listenerPath": "")", annotated) == "/from/annotation");
  CHECK(path_of("", {}) == "/from/variable");
}

TEST_CASE("a listener that cannot be is refused with the field that wants it", "[seccomp_notify]") {
  struct Case {
    std::string seccomp;
    Annotations annotations;
    std::string receiver;
    std::string field;
    std::string message;
  };
  const Case cases[] = {
      {notifying(), {}, "", "/linux/seccomp/listenerPath", "seccomp listenerPath is not set"},
      {notifying(R"(, "listenerPath": "agent")"), {}, "", "/seccomp/listenerPath", "not absolute"},
      {notifying(R"(, "listenerPath": "@agent")"), {}, "", "/seccomp/listenerPath", "not absolute"},
      {notifying(R"(, "listenerPath": 7)"), {}, "", "/seccomp/listenerPath", "expected a string"},
      {notifying(R"(, "listenerPath": "/a\u0000b")"), {}, "", "/seccomp/listenerPath", "NUL"},
      {notifying(R"(, "listenerPath": "/a", "listenerMetadata": {})"),
       {},
       "",
       "/seccomp/listenerMetadata",
       "expected a string"},
      {notifying(),
       {{kReceiver, "agent"}},
       "",
       "/annotations/run.oci.seccomp.receiver",
       "not absolute"},
      {notifying(), {}, "agent", "/linux/seccomp/listenerPath", "not absolute"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"})",
       {},
       "",
       "/linux/seccomp/listenerMetadata",
       "given without listenerPath"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.seccomp, one.receiver);
    const Refusal found = refusal(one.seccomp, one.annotations, one.receiver);
    CHECK(found.kind == ErrorKind::spec);
    CHECK(found.field == one.field);
    CHECK(found.message.find(one.message) != std::string::npos);
  }
}

TEST_CASE("base64 is decoded with and without its padding", "[seccomp_notify]") {
  const std::pair<const char*, std::string> good[] = {
      {"", ""},
      {"Zg==", "f"},
      {"Zg", "f"},
      {"Zm8=", "fo"},
      {"Zm8", "fo"},
      {"Zm9v", "foo"},
      {"Zm9vYg", "foob"},
      {"+/+/", "\xfb\xff\xbf"},
      {"AAAA", std::string(3, '\0')},
  };
  for (const auto& [text, bytes] : good) {
    CAPTURE(text);
    CHECK(from_base64(text, "/f") == bytes);
  }
  for (const char* text :
       {"Z", "Zm9vY", "Zg=", "=", "====", "Zg==Zg==", "Zm 9v", "Zm9v\n", "-_-_"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(from_base64(text, "/f"), Error);
  }
}

// One instruction that returns SECCOMP_RET_ALLOW, and one that returns SECCOMP_RET_USER_NOTIF.
constexpr char kAllowProgram[] = "BgAAAAAA/38=";
constexpr char kNotifyProgram[] = "BgAAAAAAwH8=";

TEST_CASE("a given program is loaded as it is, with the flags of the config", "[seccomp_notify]") {
  const sock_filter allow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  const std::string bytes(reinterpret_cast<const char*>(&allow), sizeof allow);
  const Plan alone = plan(read_both("null", {{kProgram, kAllowProgram}}), {});
  CHECK(alone ==
        Plan{.enabled = true, .flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW, .given_program = bytes});
  CHECK(compile(alone) == Filter{.program = bytes, .flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW});
  const Plan beside =
      plan(read_both(R"({"defaultAction": "SCMP_ACT_KILL", "flags": ["SECCOMP_FILTER_FLAG_LOG"]})",
                     {{kProgram, kAllowProgram}}),
           {});
  CHECK(compile(beside) == Filter{.program = bytes, .flags = SECCOMP_FILTER_FLAG_LOG});
}

TEST_CASE("a given program that notifies has a listener", "[seccomp_notify]") {
  const Plan made =
      plan(read_both("null", {{kProgram, kNotifyProgram}, {kReceiver, "/run/agent"}}), {});
  CHECK((made.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0);
  CHECK(compile(made).listens());
  CHECK(refusal("null", {{kProgram, kNotifyProgram}}).message.find("listenerPath is not set") !=
        std::string::npos);
}

TEST_CASE("a given program that is none is refused", "[seccomp_notify]") {
  const std::string longest((BPF_MAXINSNS * sizeof(sock_filter)) / 3 * 4 + 8, 'A');
  for (const std::string& text : {std::string(), std::string("Zm9v"), std::string("?"),
                                  std::string("BgAAAAAA/38A"), longest + "AAAAAAAA"}) {
    CAPTURE(text.size());
    const Refusal found = refusal("null", {{kProgram, text}});
    CHECK(found.kind == ErrorKind::spec);
    CHECK(found.field == kProgramField);
  }
}

TEST_CASE("an unknown name is an error only where the annotation says so", "[seccomp_notify]") {
  const std::string profile = R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["read", "mseal"], "action": "SCMP_ACT_LOG"},
      {"names": ["s390_runtime_instr", "nonesuch"], "action": "SCMP_ACT_KILL"}]})";
  constexpr char kFail[] = "run.oci.seccomp_fail_unknown_syscall";
  CHECK(refusal(profile).message == "nothing was wrong");
  CHECK(refusal(profile, {{kFail, "0"}}).message == "nothing was wrong");
  for (const char* yes : {"1", "true", ""}) {
    const Refusal found = refusal(profile, {{kFail, yes}});
    CHECK(found.kind == ErrorKind::spec);
    CHECK(found.field == "/linux/seccomp/syscalls/1/names/1");
    CHECK(found.message.find("invalid seccomp syscall `nonesuch`") != std::string::npos);
  }
}

TEST_CASE("where a listener goes is explained, and where it does not", "[seccomp_notify]") {
  const auto explained = [](const std::string& seccomp, const Annotations& annotations) {
    Explain out;
    explain(plan(read_both(seccomp, annotations), {}), out);
    std::string all;
    for (const Effect& effect : out.effects()) all += effect.text + "\n";
    return all;
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  const std::string path = R"(, "listenerPath": "/run/agent")";
  const std::string used = explained(notifying(path), {});
  CHECK(has(used, "ask the agent: mkdir\n"));
  CHECK(has(used, "send the filter's listener to the agent at /run/agent\n"));
  const std::string unused = explained(R"({"defaultAction": "SCMP_ACT_ALLOW")" + path + "}", {});
  CHECK(has(unused, "the agent is told nothing\n"));
  const std::string given = explained("null", {{kProgram, kAllowProgram}});
  CHECK(has(given, "a given program of 8 bytes"));
  CHECK_FALSE(has(given, "every syscall that no rule names"));
}

}  // namespace
}  // namespace tare::seccomp
