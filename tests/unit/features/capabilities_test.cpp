#include "features/capabilities.hpp"

#include <linux/capability.h>

#include <catch2/catch.hpp>

namespace tare::capabilities {
namespace {

constexpr Set bit(int number) {
  return Set{1} << static_cast<unsigned>(number);
}

constexpr Set kRaw = bit(CAP_NET_RAW);
constexpr Set kKill = bit(CAP_KILL);
constexpr Set kNewest = bit(CAP_CHECKPOINT_RESTORE);

Spec read_text(const std::string& process) {
  const spec::Document document("config.json", process);
  return read(document.top());
}

Error error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing was wrong");
}

TEST_CASE("the five sets are planned as they are written", "[capabilities]") {
  const Spec spec = read_text(R"({"capabilities": {
    "bounding": ["CAP_KILL", "CAP_NET_RAW", "CAP_CHECKPOINT_RESTORE", "CAP_CHOWN"],
    "effective": ["CAP_KILL"],
    "inheritable": ["CAP_NET_RAW"],
    "permitted": ["CAP_NET_RAW", "CAP_KILL"],
    "ambient": ["CAP_NET_RAW"]}})");
  const Plan expected{.bounding = kKill | kRaw | kNewest | bit(CAP_CHOWN),
                      .effective = kKill,
                      .inheritable = kRaw,
                      .permitted = kRaw | kKill,
                      .ambient = kRaw,
                      .last_capability = 40};
  CHECK(plan(spec, {}) == expected);
}

TEST_CASE("a process that asks for no capabilities gets none", "[capabilities]") {
  const std::string process = GENERATE("{}", R"({"capabilities": null})", R"({"capabilities": {}})",
                                       R"({"capabilities": {"bounding": null, "effective": []}})");
  CHECK(plan(read_text(process), {}) == Plan{});
}

TEST_CASE("a name that no kernel knows is left out with a warning, once", "[capabilities]") {
  for (const std::string name :
       {"CAP_NONE", "NET_RAW", "cap_net_raw", "CAP_", "", "13", "CAP_13"}) {
    const Spec spec = read_text(R"({"capabilities": {"bounding": ["CAP_KILL", ")" + name +
                                R"("], "permitted": [")" + name + "\"]}}");
    const Plan expected{.bounding = kKill,
                        .warnings = {"ignoring unknown or unavailable capabilities: " + name}};
    CHECK(plan(spec, {}) == expected);
  }
}

TEST_CASE("ambient capabilities are only those that are permitted and inheritable",
          "[capabilities]") {
  const Set all = kRaw | kKill | kNewest;
  const Spec spec{
      .bounding = all, .inheritable = kRaw | kKill, .permitted = kRaw | kNewest, .ambient = all};
  const Plan made = plan(spec, {});
  CHECK(made.ambient == kRaw);
  const std::string why = ": it is not both permitted and inheritable";
  CHECK(made.warnings ==
        std::vector<std::string>{"can't raise ambient capability CAP_KILL" + why,
                                 "can't raise ambient capability CAP_CHECKPOINT_RESTORE" + why});
}

TEST_CASE("an ambient set beside an empty inheritable one is left out without a word",
          "[capabilities]") {
  const Plan made = plan({.bounding = kRaw, .permitted = kRaw, .ambient = kRaw}, {});
  CHECK(made.ambient == 0);
  CHECK(made.warnings.empty());
}

TEST_CASE("sets that the kernel would refuse are refused with names", "[capabilities]") {
  const Error effective =
      error_of([] { plan({.effective = kRaw | kKill, .permitted = kKill}, {}); });
  CHECK(effective.kind() == ErrorKind::spec);
  CHECK(effective.field() == "/process/capabilities/effective");
  CHECK(effective.message() ==
        "the effective set of capabilities has CAP_NET_RAW, which the permitted set has not");
  const Error inheritable = error_of([] { plan({.inheritable = kRaw | kKill}, {}); });
  CHECK(inheritable.field() == "/process/capabilities/inheritable");
  CHECK(inheritable.message() ==
        "the inheritable set of capabilities has CAP_KILL CAP_NET_RAW, which the bounding set has "
        "not");
}

TEST_CASE("what is permitted may be out of bounds", "[capabilities]") {
  CHECK(plan({.permitted = kRaw}, {}).permitted == kRaw);
}

TEST_CASE("a capability newer than the kernel is left out of every set", "[capabilities]") {
  const Set both = kNewest | kRaw;
  const Spec spec{
      .bounding = both, .effective = both, .inheritable = both, .permitted = both, .ambient = both};
  const Plan expected{.bounding = kRaw,
                      .effective = kRaw,
                      .inheritable = kRaw,
                      .permitted = kRaw,
                      .ambient = kRaw,
                      .last_capability = 39,
                      .warnings = {"ignoring unknown or unavailable capabilities: "
                                   "CAP_CHECKPOINT_RESTORE"}};
  CHECK(plan(spec, {.last_capability = 39}) == expected);
}

TEST_CASE("every name has the number that the kernel gives it", "[capabilities]") {
  const std::vector<std::string> names = known_names();
  REQUIRE(names.size() == CAP_LAST_CAP + 1);
  for (std::size_t number = 0; number < names.size(); ++number) {
    CHECK(parse_name(names[number]) == static_cast<int>(number));
  }
  const std::pair<const char*, int> some[] = {{"CAP_CHOWN", CAP_CHOWN},
                                              {"CAP_SETPCAP", CAP_SETPCAP},
                                              {"CAP_NET_ADMIN", CAP_NET_ADMIN},
                                              {"CAP_SYS_ADMIN", CAP_SYS_ADMIN},
                                              {"CAP_MKNOD", CAP_MKNOD},
                                              {"CAP_SETFCAP", CAP_SETFCAP},
                                              {"CAP_BPF", CAP_BPF},
                                              {"CAP_AUDIT_READ", CAP_AUDIT_READ}};
  for (const auto& [name, number] : some) CHECK(parse_name(name) == number);
}

TEST_CASE("on a command line a name may be in any case and without its prefix", "[capabilities]") {
  for (const std::string name :
       {"CAP_NET_RAW", "NET_RAW", "net_raw", "cap_net_raw", "Cap_Net_Raw"}) {
    CHECK(parse_name(name) == CAP_NET_RAW);
  }
  for (const std::string name : {"", "CAP_", "13", "CAP_CAP_KILL", "KILL ", "ALL", "NET-RAW"}) {
    const Error error = error_of([&] { parse_name(name); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "unknown capability \"" + name + "\"");
  }
}

TEST_CASE("each set is explained by names, an empty one too", "[capabilities]") {
  Explain out;
  explain({.bounding = kRaw | kKill, .permitted = kRaw}, out);
  REQUIRE(out.effects().size() == 5);
  CHECK(out.effects()[0].text == "bounding set: CAP_KILL CAP_NET_RAW");
  CHECK(out.effects()[0].field == "/process/capabilities/bounding");
  CHECK(out.effects()[1].text == "permitted set: CAP_NET_RAW");
  CHECK(out.effects()[4].text == "ambient set: none");
}

}  // namespace
}  // namespace tare::capabilities
