#include "features/devices.hpp"

#include <linux/sched.h>

#include <catch2/catch.hpp>

namespace tare::devices {
namespace {

Spec read_text(const std::string& devices) {
  const spec::Document document("config.json", "{\"devices\": " + devices + "}");
  return read(document.top());
}

Device read_one(const std::string& device) {
  return read_text("[" + device + "]").devices.at(0);
}

std::string refusal(const std::string& device) {
  try {
    read_one(device);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    CHECK(error.field().starts_with("/devices/0"));
    return error.message();
  }
  return "nothing was refused";
}

const namespaces::Plan kMount{.create = CLONE_NEWNS};
const namespaces::Plan kUser{.create = CLONE_NEWNS | CLONE_NEWUSER};

std::vector<Device> defaults() {
  return {{.path = "/dev/null", .major = 1, .minor = 3},
          {.path = "/dev/zero", .major = 1, .minor = 5},
          {.path = "/dev/full", .major = 1, .minor = 7},
          {.path = "/dev/random", .major = 1, .minor = 8},
          {.path = "/dev/urandom", .major = 1, .minor = 9},
          {.path = "/dev/tty", .major = 5, .minor = 0}};
}

mounts::Plan bound_dev() {
  return {.mounts = {{.kind = mounts::Kind::bind, .destination = "/dev", .source = "/dev"}}};
}

}  // namespace

TEST_CASE("devices: everything that an entry says is read", "[devices]") {
  CHECK(read_one(R"({"path": "/dev//fuse", "type": "c", "major": 10, "minor": 229,
                     "fileMode": 432, "uid": 1000, "gid": 1001})") ==
        Device{.path = "/dev/fuse",
               .major = 10,
               .minor = 229,
               .mode = 0660,
               .uid = 1000,
               .gid = 1001,
               .pointer = "/devices/0"});
}

TEST_CASE("devices: an unbuffered device is a character device, and a fifo has no numbers",
          "[devices]") {
  CHECK(read_one(R"({"path": "/x", "type": "u", "major": 1, "minor": 2})").type == 'c');
  CHECK(read_one(R"({"path": "/x", "type": "b", "major": 1, "minor": 2})").type == 'b');
  CHECK(read_one(R"({"path": "/x", "type": "p"})") ==
        Device{.path = "/x", .type = 'p', .pointer = "/devices/0"});
}

TEST_CASE("devices: type bits in a mode are dropped, as stat(2) gives them", "[devices]") {
  const auto mode = [](const std::string& number) {
    return read_one(R"({"path": "/x", "type": "p", "fileMode": )" + number + "}").mode;
  };
  CHECK(mode("8630") == 0666);
  CHECK(mode("2541") == 04755);
  CHECK(mode("0") == 0);
}

TEST_CASE("devices: what the kernel could not have is refused", "[devices]") {
  const std::string rest = R"(, "type": "c", "major": 1, "minor": 3})";
  CHECK(refusal(R"({"path": "dev/x")" + rest).find("absolute") != std::string::npos);
  CHECK(refusal(R"({"path": "")" + rest).find("absolute") != std::string::npos);
  CHECK(refusal(R"({"path": "/dev/..")" + rest).find("no place") != std::string::npos);
  CHECK(refusal(R"({"type": "c", "major": 1, "minor": 3})").find("path") != std::string::npos);
  CHECK(refusal(R"({"path": "/x", "type": "a"})").find("device type") != std::string::npos);
  CHECK(refusal(R"({"path": "/x", "type": "c", "minor": 3})").find("major") != std::string::npos);
  CHECK(refusal(R"({"path": "/x", "type": "c", "major": 4096, "minor": 3})").find("/major") !=
        std::string::npos);
  CHECK(refusal(R"({"path": "/x", "type": "c", "major": 1, "minor": 1048576})").find("/minor") !=
        std::string::npos);
  CHECK(refusal(R"({"path": "/x", "type": "c", "major": -1, "minor": 3})").find("/major") !=
        std::string::npos);
  CHECK(refusal(R"({"path": "/x", "type": "p", "fileMode": 65536})").find("/fileMode") !=
        std::string::npos);
}

TEST_CASE("devices: a path is cleaned, so that no component leads up", "[devices]") {
  CHECK(read_one(R"({"path": "/dev/../../etc/x", "type": "p"})").path == "/etc/x");
}

TEST_CASE("devices: without a word the default ones are made", "[devices]") {
  CHECK(plan({}, kMount, {}, {}) == Plan{.devices = defaults()});
}

TEST_CASE("devices: one of the config takes the place of a default one", "[devices]") {
  const Device tty{.path = "/dev/tty", .major = 5, .minor = 0, .mode = 0620, .gid = 5};
  const Device fuse{.path = "/dev/fuse", .major = 10, .minor = 229};
  std::vector<Device> expected = defaults();
  expected.pop_back();
  expected.insert(expected.end(), {fuse, tty});
  CHECK(plan({.devices = {fuse, tty}}, kMount, {}, {}) == Plan{.devices = expected});
}

TEST_CASE("devices: ptmx is always a link to the container's own", "[devices]") {
  const Device ptmx{.path = "/dev/ptmx", .major = 5, .minor = 2};
  CHECK(plan({.devices = {ptmx}}, kMount, {}, {}) == Plan{.devices = defaults()});
}

TEST_CASE("devices: where mknod is forbidden they are bound", "[devices]") {
  CHECK(plan({}, kUser, {}, {}) == Plan{.devices = defaults(), .bind = true});
  CHECK(plan({}, kMount, {}, {.rootless = true}) == Plan{.devices = defaults(), .bind = true});
}

TEST_CASE("devices: a bound /dev is left alone, and devices elsewhere are made", "[devices]") {
  const Device inside{.path = "/dev/x", .type = 'p'};
  const Device outside{.path = "/device", .type = 'p'};
  CHECK(plan({.devices = {inside, outside}}, kMount, bound_dev(), {}) ==
        Plan{.devices = {outside}, .links = false});
}

TEST_CASE("devices: each is explained with the field that asked for it", "[devices]") {
  Explain out;
  explain(
      plan({.devices = {{.path = "/x", .type = 'p', .mode = 0600, .pointer = "/linux/devices/0"}}},
           kUser, {}, {}),
      out);
  REQUIRE(out.effects().size() == 8);
  CHECK(out.effects()[0].text == "bind /dev/null of the host, device c 1:3");
  CHECK(out.effects()[0].field.empty());
  CHECK(out.effects()[6].text == "make /x, a fifo, mode 0600, owner 0:0");
  CHECK(out.effects()[6].field == "/linux/devices/0");
  Explain bound;
  explain(plan({}, kMount, bound_dev(), {}), bound);
  CHECK(bound.effects().at(0).text == "leave /dev as it is: it is bound from elsewhere");
}

}  // namespace tare::devices
