#include "features/id_map.hpp"

#include <linux/sched.h>

#include <catch2/catch.hpp>

namespace tare::id_map {
namespace {

const namespaces::Plan kNewUser{.create = CLONE_NEWUSER};
const namespaces::Plan kJoinedUser{
    .join = {{.type = namespaces::Type::user, .path = "/n/user", .pointer = "/x"}}};
const std::vector<Mapping> kRange = {{.container_id = 0, .host_id = 100000, .size = 65536}};
const Host kUser{.euid = 1000, .egid = 100, .rootless = true};

Spec read_uids(const std::string& mappings) {
  const spec::Document document("config.json", R"({"uidMappings": )" + mappings + "}");
  return read(document.top());
}

std::string one(std::uint64_t container, std::uint64_t host, std::uint64_t size) {
  return R"({"containerID": )" + std::to_string(container) + R"(, "hostID": )" +
         std::to_string(host) + R"(, "size": )" + std::to_string(size) + "}";
}

std::string read_error(const std::string& mappings) {
  try {
    read_uids(mappings);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    return error.message();
  }
  return "nothing was wrong";
}

std::string plan_error(const Spec& spec, const namespaces::Plan& namespaces, const Host& host) {
  try {
    plan(spec, namespaces, host);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    return error.message();
  }
  return "nothing was wrong";
}

TEST_CASE("both lists are read in their order", "[id_map]") {
  const spec::Document document("config.json", R"({
    "uidMappings": [{"containerID": 1, "hostID": 5, "size": 2},
                    {"containerID": 0, "hostID": 1000, "size": 1}],
    "gidMappings": [{"containerID": 0, "hostID": 7, "size": 3}]})");
  const Spec spec = read(document.top());
  CHECK(spec.uids == std::vector<Mapping>{{1, 5, 2}, {0, 1000, 1}});
  CHECK(spec.gids == std::vector<Mapping>{{0, 7, 3}});
  CHECK(read_uids("null").uids.empty());
  CHECK(read_uids("[]").uids.empty());
}

TEST_CASE("a mapping of nothing, of too much or of no number is refused", "[id_map]") {
  CHECK(read_error("[" + one(0, 0, 0) + "]") ==
        "config.json /uidMappings/0/size: 0 is not within 1 and 4294967295");
  CHECK(read_error("[" + one(4294967295, 0, 1) + "]").find("run over the highest") !=
        std::string::npos);
  CHECK(read_error("[" + one(0, 4294967290, 6) + "]").find("run over the highest") !=
        std::string::npos);
  CHECK(read_error("[" + one(0, 4294967296, 1) + "]").find("is not within") != std::string::npos);
  CHECK(read_error(R"([{"containerID": -1, "hostID": 0, "size": 1}])").find("is not within") !=
        std::string::npos);
  CHECK(read_error(R"([{"containerID": 0, "size": 1}])") ==
        "config.json /uidMappings/0/hostID: required, but missing");
}

TEST_CASE("the whole range of ids can be mapped at once", "[id_map]") {
  CHECK(read_uids("[" + one(0, 0, 4294967295) + "]").uids ==
        std::vector<Mapping>{{0, 0, 4294967295}});
}

TEST_CASE("overlaps are refused on either side, neighbours are not", "[id_map]") {
  CHECK(read_error("[" + one(0, 1000, 10) + "," + one(9, 2000, 10) + "]") ==
        "config.json /uidMappings/1: this mapping and an earlier one overlap");
  CHECK(read_error("[" + one(0, 1000, 10) + "," + one(10, 1009, 1) + "]").find("overlap") !=
        std::string::npos);
  CHECK(read_error("[" + one(0, 1000, 10) + "," + one(10, 1010, 10) + "]") == "nothing was wrong");
  CHECK(read_error("[" + one(5, 1000, 1) + "," + one(0, 4294967000, 200) + "]").find("overlap") !=
        std::string::npos);
}

TEST_CASE("340 mappings are taken and 341 are not", "[id_map]") {
  const auto many = [](std::uint64_t count) {
    std::string text;
    for (std::uint64_t i = 0; i < count; ++i) {
      text += (text.empty() ? "[" : ",") + one(2 * i, 2 * i, 1);
    }
    return text + "]";
  };
  CHECK(read_uids(many(340)).uids.size() == 340);
  CHECK(read_error(many(341)) ==
        "config.json /uidMappings: 341 mappings, and the kernel takes 340 at most");
  CHECK(read_error(many(5000)).find("5000 mappings") != std::string::npos);
}

TEST_CASE("a map is found id by id", "[id_map]") {
  const std::vector<Mapping> mappings = {{0, 1000, 1}, {1, 100000, 65535}};
  CHECK(to_host(mappings, 0) == 1000);
  CHECK(to_host(mappings, 1) == 100000);
  CHECK(to_host(mappings, 65535) == 165534);
  CHECK(to_host(mappings, 65536) == std::nullopt);
  CHECK(to_host({}, 12) == 12);
  CHECK(to_host({{4294967294, 7, 1}}, 4294967294) == 7);
}

TEST_CASE("a map survives being written and read as the kernel shows it", "[id_map]") {
  const std::vector<Mapping> mappings = {{0, 1000, 1}, {1, 4294967000, 294}};
  CHECK(to_text(mappings) == "0 1000 1\n1 4294967000 294\n");
  CHECK(from_text(to_text(mappings)) == mappings);
  CHECK(from_text("         0       1000          1\n         1 4294967000        294\n") ==
        mappings);
  CHECK(from_text("0 1\n").empty());
  CHECK(from_text("\n\nx y z\n").empty());
  CHECK(from_text("").empty());
}

TEST_CASE("root writes the maps itself and denies nothing", "[id_map]") {
  CHECK(plan({.uids = kRange, .gids = kRange}, kNewUser, {}) ==
        Plan{.uids = kRange, .gids = kRange});
}

TEST_CASE("root of another user namespace has the capabilities there and needs no program",
          "[id_map]") {
  CHECK(plan({.uids = kRange, .gids = kRange}, kNewUser, {.euid = 0, .rootless = true}) ==
        Plan{.uids = kRange, .gids = kRange});
}

TEST_CASE("a plain user maps its own ids alone by itself, at the price of setgroups", "[id_map]") {
  const std::vector<Mapping> uids = {{0, 1000, 1}};
  const std::vector<Mapping> gids = {{0, 100, 1}};
  CHECK(plan({.uids = uids, .gids = gids}, kNewUser, kUser) ==
        Plan{.uids = uids, .gids = gids, .deny_setgroups = true});
  CHECK(plan({.uids = uids, .gids = {{0, 101, 1}}}, kNewUser, kUser).through_helpers);
}

TEST_CASE("a plain user maps other ids through programs, and keeps setgroups", "[id_map]") {
  CHECK(plan({.uids = kRange, .gids = kRange}, kNewUser, kUser) ==
        Plan{.uids = kRange, .gids = kRange, .through_helpers = true});
  CHECK(
      plan({.uids = kRange, .gids = {{0, 100, 1}}}, kNewUser, kUser) ==
      Plan{.uids = kRange, .gids = {{0, 100, 1}}, .through_helpers = true, .deny_setgroups = true});
}

TEST_CASE("a joined user namespace has its own maps, which nobody writes", "[id_map]") {
  CHECK(plan({.uids = kRange, .gids = kRange}, kJoinedUser, {}) ==
        Plan{.uids = kRange, .gids = kRange, .joined = true});
  CHECK(plan({}, kJoinedUser, kUser) == Plan{.joined = true});
}

TEST_CASE("no user namespace and no mappings are nothing to do for root", "[id_map]") {
  CHECK(plan({}, {}, {}) == Plan{});
}

TEST_CASE("what cannot become a user namespace is refused in runc's words", "[id_map]") {
  CHECK(plan_error({}, kNewUser, {}) ==
        "config.json: user namespaces enabled, but no namespace path to join nor mappings to apply "
        "specified");
  CHECK(plan_error({.gids = kRange}, kNewUser, {}) ==
        "config.json: user namespaces enabled, but no uid mappings found");
  CHECK(plan_error({.uids = kRange}, kNewUser, {}) ==
        "config.json: user namespaces enabled, but no gid mappings found");
  CHECK(plan_error({.uids = {{1, 1, 1}}, .gids = kRange}, kNewUser, {}) ==
        "config.json: user namespaces enabled, but no mapping found for uid 0");
  CHECK(plan_error({.uids = kRange, .gids = {{1, 1, 1}}}, kNewUser, {}) ==
        "config.json: user namespaces enabled, but no mapping found for gid 0");
  CHECK(plan_error({.uids = kRange}, {}, {}) ==
        "config.json: user namespace mappings specified, but user namespace isn't enabled in the "
        "config");
  CHECK(plan_error({}, {}, kUser) == "config.json: rootless container requires user namespaces");
}

TEST_CASE("the maps are explained with what asked for them", "[id_map]") {
  Explain out;
  explain({.uids = kRange, .gids = {{0, 100, 1}}, .deny_setgroups = true}, out);
  REQUIRE(out.effects().size() == 3);
  CHECK(out.effects()[0].text == "map user ids: 65536 from container 0, host 100000");
  CHECK(out.effects()[0].field == "/linux/uidMappings");
  CHECK(out.effects()[1].field == "/linux/gidMappings");
  Explain nothing;
  explain(Plan{}, nothing);
  CHECK(nothing.effects().empty());
}

}  // namespace
}  // namespace tare::id_map
