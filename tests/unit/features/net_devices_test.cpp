#include "features/net_devices.hpp"

#include <linux/sched.h>

#include <catch2/catch.hpp>

namespace tare::net_devices {
namespace {

const namespaces::Plan kNewNetwork{.create = CLONE_NEWNET};

Spec read_text(const std::string& devices) {
  const spec::Document document("config.json", R"({"netDevices": )" + devices + "}");
  return read(document.top());
}

template <typename Act>
std::string fault_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    return error.message();
  }
  return "nothing was wrong";
}

TEST_CASE("a device keeps its name unless another is given", "[net_devices]") {
  const Spec spec = read_text(R"({"eth0": {}, "eth1": {"name": "ctr%d"}, "eth2": {"name": ""}})");
  CHECK(plan(spec, kNewNetwork, {}) ==
        Plan{.devices = {{.name = "eth0", .new_name = "eth0", .pointer = "/netDevices/eth0"},
                         {.name = "eth1", .new_name = "ctr%d", .pointer = "/netDevices/eth1"},
                         {.name = "eth2", .new_name = "eth2", .pointer = "/netDevices/eth2"}}});
}

TEST_CASE("no devices are nothing to do, whatever the namespaces", "[net_devices]") {
  CHECK(plan(read_text("{}"), {}, {.euid = 1000, .rootless = true}) == Plan{});
  CHECK(plan(read_text("null"), {}, {}) == Plan{});
}

TEST_CASE("a name that no device can have is refused", "[net_devices]") {
  const std::string name = GENERATE("", ".", "..", "a/b", "a:b", "a b", "a\\tb", "a\\nb",
                                    "a\\u001bb", "0123456789abcdef", "../../etc/passwd");
  CAPTURE(name);
  CHECK_THAT(fault_of([&] { read_text(R"({")" + name + R"(": {}})"); }),
             Catch::Contains("invalid network device name"));
  if (name.empty()) return;
  CHECK_THAT(fault_of([&] { read_text(R"({"eth0": {"name": ")" + name + R"("}})"); }),
             Catch::StartsWith("config.json /netDevices/eth0/name: invalid network device name"));
}

TEST_CASE("fifteen bytes are a name, of whatever letters", "[net_devices]") {
  CHECK(read_text(R"({"0123456789abcde": {"name": "..."}})").devices.size() == 1);
}

TEST_CASE("a template has one number and no other format", "[net_devices]") {
  const std::string name = GENERATE("%", "%%", "%s", "%n", "a%5d", "%d%d", "x%d%");
  CAPTURE(name);
  CHECK_THAT(fault_of([&] { read_text(R"({"eth0": {"name": ")" + name + R"("}})"); }),
             Catch::Contains("invalid network device name"));
}

TEST_CASE("what is no set of devices is refused", "[net_devices]") {
  const std::string devices = GENERATE(R"(["eth0"])", R"("eth0")", "7", R"({"eth0": null})",
                                       R"({"eth0": "x"})", R"({"eth0": {"name": 5}})");
  CAPTURE(devices);
  CHECK(fault_of([&] { read_text(devices); }) != "nothing was wrong");
}

TEST_CASE("a device needs a network namespace that is new or joined", "[net_devices]") {
  const Spec spec = read_text(R"({"eth0": {}})");
  CHECK(fault_of([&] { plan(spec, {.create = CLONE_NEWUTS}, {}); }) ==
        "unable to move network devices without a private NET namespace");
  const namespaces::Plan joined{
      .join = {{.type = namespaces::Type::network, .path = "/n", .pointer = "/x"}}};
  CHECK(plan(spec, joined, {}).devices.size() == 1);
}

TEST_CASE("a rootless caller may move no device", "[net_devices]") {
  CHECK(fault_of([] {
          plan(read_text(R"({"eth0": {}})"), kNewNetwork, {.euid = 0, .rootless = true});
        }) == "network devices are not supported for rootless containers");
}

TEST_CASE("no two devices can have one name, but a template may serve for many", "[net_devices]") {
  CHECK_THAT(fault_of([] { plan(read_text(R"({"a": {"name": "b"}, "b": {}})"), kNewNetwork, {}); }),
             Catch::StartsWith("config.json /netDevices/b: another device is to be \"b\""));
  CHECK(plan(read_text(R"({"a": {"name": "b"}, "b": {"name": "a"}})"), kNewNetwork, {})
            .devices.size() == 2);
  CHECK(plan(read_text(R"({"a": {"name": "n%d"}, "b": {"name": "n%d"}})"), kNewNetwork, {})
            .devices.size() == 2);
}

TEST_CASE("each device is explained with what asked for it", "[net_devices]") {
  Explain out;
  explain(plan(read_text(R"({"a": {"name": "b"}, "c": {}})"), kNewNetwork, {}), out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text ==
        "move the network device a into the container's network namespace as b, with its permanent "
        "global addresses, and set it up");
  CHECK(out.effects()[0].field == "/netDevices/a");
  CHECK(out.effects()[1].field == "/netDevices/c");
}

}  // namespace
}  // namespace tare::net_devices
