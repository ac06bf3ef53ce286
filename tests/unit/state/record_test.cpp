#include "state/record.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>

#include "tare/error.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using nlohmann::json;
using nlohmann::ordered_json;

namespace {

Intent full_intent() {
  return {.id = "web",
          .bundle = "/srv/web",
          .rootfs = "/srv/web/rootfs",
          .boot_id = "5e0d1c1e-0000-4000-8000-000000000000",
          .cgroup_directory = "/sys/fs/cgroup/web",
          .scope = {.name = "tare-web.scope", .user = true},
          .hooks = R"({"poststop":[{"path":"/bin/\"true\""}]})",
          .process = R"({"args":["sh"]})",
          .namespaces = 0x7c020000,
          .user_mapped = true,
          .setgroups_denied = true,
          .rootless = true,
          .linux_part = R"({"personality":{"domain":"LINUX32"}})",
          .keyring_kept = true,
          .seccomp_listener = "/run/agent",
          .seccomp_metadata = "{\"a\":1}\n",
          .outside = {.mounts = {"/etc/hosts"},
                      .masked = {"/proc/kcore"},
                      .joined = 0x40000000,
                      .pipes = {"", "pipe:[7]", "pipe:[8]"}}};
}

Record full_record() {
  return {.id = "web",
          .oci_version = "1.2.0",
          .bundle = "/srv/web",
          .rootfs = "/srv/web/rootfs",
          .created = "2026-11-24T21:07:00.123456789Z",
          .boot_id = "0c4b5c1e-0f6c-4a0e-8f0e-3b1c2d4e5f60",
          .owner = 1000,
          .init = {.pid = 4242, .pidfs_inode = 0xffffffffffffffff, .start_time = 77},
          .cgroup_directory = "/sys/fs/cgroup/web",
          .scope = {.name = "tare-web.scope", .user = true},
          .namespaces = 0x7c020000,
          .private_pids = true,
          .uid_map = "0 1000 1\n1 100000 65536\n",
          .gid_map = "0 100 1\n",
          .annotations = {{"a", "x \"y\" \n z"}, {"\u00e5", "\u2603 <&>"}},
          .has_poststart = true,
          .has_poststop = true,
          .has_seccomp = true,
          .memory_limit_bytes = 1 << 20,
          .memory_swap_bytes = -1,
          .resctrl = {"/sys/fs/resctrl/web", "/sys/fs/resctrl/web/mon_groups/web", true}};
}

// The texts of a record in which one member is replaced or, by nullptr, missing.
std::string with(const char* pointer, const json& value) {
  json object = json::parse(state::to_json(full_record()));
  object[json::json_pointer(pointer)] = value;
  return object.dump();
}

std::string refusal(const std::string& text) {
  try {
    state::record_from_json(text);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::state);
    CHECK_FALSE(error.hint().empty());
    return error.message();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("record: what was written is read back, intent and record", "[record]") {
  CHECK(state::intent_from_json(state::to_json(full_intent())) == full_intent());
  CHECK(state::record_from_json(state::to_json(full_record())) == full_record());
}

TEST_CASE("record: defaults are read back too", "[record]") {
  CHECK(state::intent_from_json(state::to_json(Intent{})) == Intent{});
  const Record record{.init = {.pid = 2, .start_time = 1}};
  CHECK(state::record_from_json(state::to_json(record)) == record);
}

TEST_CASE("record: an intent of before it said who made it may be anyone's", "[record]") {
  json object = json::parse(state::to_json(Intent{}));
  CHECK_FALSE(state::intent_from_json(object.dump()).rootless);
  object.erase("rootless");
  CHECK(state::intent_from_json(object.dump()).rootless);
}

TEST_CASE("record: a text that was cut off at any byte is damaged", "[record]") {
  const std::string record = state::to_json(full_record());
  const std::string intent = state::to_json(full_intent());
  for (std::size_t length = 0; length < record.size(); ++length) {
    CHECK_THROWS_AS(state::record_from_json(record.substr(0, length)), Error);
  }
  for (std::size_t length = 0; length < intent.size(); ++length) {
    CHECK_THROWS_AS(state::intent_from_json(intent.substr(0, length)), Error);
  }
}

TEST_CASE("record: a text with more behind it is damaged", "[record]") {
  CHECK(refusal(state::to_json(full_record()) + "}").find("damaged state") == 0);
  CHECK(refusal(state::to_json(full_record()) + state::to_json(full_record())) != "accepted");
}

TEST_CASE("record: no member may be missing or of another type", "[record]") {
  const json whole = json::parse(state::to_json(full_record()));
  for (const auto& member : whole.items()) {
    INFO(member.key());
    json object = whole;
    object.erase(member.key());
    CHECK(refusal(object.dump()).find("damaged state") == 0);
    for (const json& other : {json(), json(1.5), json::array()}) {
      object[member.key()] = other;
      CHECK(refusal(object.dump()).find("damaged state") == 0);
    }
  }
  for (const char* text : {"", "null", "[]", "1", "\"x\"", "{}"})
    CHECK(refusal(text) != "accepted");
}

TEST_CASE("record: a pid that is nobody's container is refused", "[record]") {
  for (const json& pid :
       {json(0), json(1), json(-1), json(-4242), json(4294967296), json(2147483648),
        json(std::numeric_limits<std::int64_t>::min()), json("4242")}) {
    INFO(pid);
    CHECK(refusal(with("/init/pid", pid)).find("damaged state") == 0);
  }
}

TEST_CASE("record: a process that nothing tells from a later one is refused", "[record]") {
  json object = json::parse(state::to_json(full_record()));
  object["init"]["pidfsInode"] = 0;
  object["init"]["startTime"] = 0;
  CHECK(refusal(object.dump()) != "accepted");
  object["init"]["startTime"] = 1;
  CHECK(refusal(object.dump()) == "accepted");
}

TEST_CASE("record: an owner or a flag word out of range is refused", "[record]") {
  CHECK(refusal(with("/owner", -1)) != "accepted");
  CHECK(refusal(with("/owner", 4294967296)) != "accepted");
  CHECK(refusal(with("/namespaces", -1)) != "accepted");
  CHECK(refusal(with("/annotations", json{{"a", 1}})) != "accepted");
}

TEST_CASE("record: a name that stands twice is refused", "[record]") {
  std::string text = state::to_json(full_record());
  text.insert(1, R"("id":"other",)");
  CHECK(refusal(text) != "accepted");
}

TEST_CASE("record: bytes that are no text do not stop a record from being written", "[record]") {
  Record record = full_record();
  record.bundle = "/srv/\xff\xfe";
  const Record read = state::record_from_json(state::to_json(record));
  CHECK(read.bundle.find("/srv/") == 0);
  CHECK(read.id == "web");
}

TEST_CASE("record: state is printed as runc prints it", "[record]") {
  Record record = full_record();
  record.annotations = {{"k", "v"}};
  CHECK(state::printed_state({.record = record, .status = Status::running}) ==
        "{\n"
        "  \"ociVersion\": \"1.2.0\",\n"
        "  \"id\": \"web\",\n"
        "  \"pid\": 4242,\n"
        "  \"status\": \"running\",\n"
        "  \"bundle\": \"/srv/web\",\n"
        "  \"rootfs\": \"/srv/web/rootfs\",\n"
        "  \"created\": \"2026-11-24T21:07:00.123456789Z\",\n"
        "  \"annotations\": {\n"
        "    \"k\": \"v\"\n"
        "  },\n"
        "  \"owner\": \"\"\n"
        "}");
}

TEST_CASE("record: a stopped container has pid 0, and no annotations are none", "[record]") {
  Record record = full_record();
  record.annotations.clear();
  const json printed =
      json::parse(state::printed_state({.record = record, .status = Status::stopped}));
  CHECK(printed["pid"] == 0);
  CHECK(printed["status"] == "stopped");
  CHECK_FALSE(printed.contains("annotations"));
}

TEST_CASE("record: annotations come out as they went in", "[record]") {
  const State shown{.record = full_record(), .status = Status::paused};
  for (const std::string& text : {state::printed_state(shown), state::listed_state(shown, "ann"),
                                  state::hook_state(shown.record, Status::running)}) {
    CHECK(json::parse(text)["annotations"] == json(shown.record.annotations));
  }
  CHECK(json::parse(state::listed_state(shown, "ann"))["owner"] == "ann");
}

TEST_CASE("record: hooks get the state that runtime.md describes", "[record]") {
  Record record = full_record();
  record.annotations.clear();
  CHECK(state::hook_state(record, Status::creating) ==
        R"({"ociVersion":"1.2.0","id":"web","status":"creating","pid":4242,"bundle":"/srv/web"})");
  CHECK(state::hook_state(record, Status::stopped) ==
        R"({"ociVersion":"1.2.0","id":"web","status":"stopped","bundle":"/srv/web"})");
}

TEST_CASE("record: every status has the specification's name", "[record]") {
  CHECK(to_string(Status::creating) == "creating");
  CHECK(to_string(Status::created) == "created");
  CHECK(to_string(Status::running) == "running");
  CHECK(to_string(Status::paused) == "paused");
  CHECK(to_string(Status::stopped) == "stopped");
}

TEST_CASE("record: an agent is told whose listener it gets", "[record]") {
  const json told = json::parse(
      state::container_process_state(full_record(), Status::running, 5151, "for \"you\""));
  CHECK(told == json{{"ociVersion", "1.2.0"},
                     {"fds", json::array({"seccompFd"})},
                     {"pid", 5151},
                     {"metadata", "for \"you\""},
                     {"state", json::parse(state::hook_state(full_record(), Status::running))}});
  CHECK(told.at("state").at("pid") == 4242);
  CHECK_FALSE(json::parse(state::container_process_state(full_record(), Status::creating, 2, ""))
                  .contains("metadata"));
}
