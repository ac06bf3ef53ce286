#include "features/credentials.hpp"

#include <catch2/catch.hpp>

namespace tare::credentials {
namespace {

Spec read_user(const std::string& user) {
  const spec::Document document("config.json", R"({"user": )" + user + "}");
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

// uids 0 to 999 and gids 0 to 99 exist.
const id_map::Plan kMapped{.uids = {{.container_id = 0, .host_id = 100000, .size = 1000}},
                           .gids = {{.container_id = 0, .host_id = 100000, .size = 100}}};

TEST_CASE("what a joined user namespace maps is checked once it is known", "[credentials]") {
  const Plan planned = plan({.uid = 7, .additional_gids = {9}}, {.joined = true}, true, {});
  CHECK(planned.groups_may_be_denied);
  id_map::Plan found{.uids = {{0, 100, 8}}, .gids = {{0, 100, 10}}, .joined = true};
  CHECK_NOTHROW(check_ids(planned, found));
  found.gids = {{0, 100, 9}};
  try {
    check_ids(planned, found);
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.field() == "/process/user/additionalGids/0");
  }
  found.gids = {{0, 100, 10}};
  found.deny_setgroups = true;
  CHECK_THROWS_WITH(check_ids(planned, found),
                    "cannot set any additional groups in a rootless container");
}

TEST_CASE("root of a user namespace may find setgroups denied, root of the machine may not",
          "[credentials]") {
  CHECK(plan({}, {}, false, {.rootless = true}).groups_may_be_denied);
  CHECK(plan({}, kMapped, true, {.rootless = true}).groups_may_be_denied);
  CHECK_FALSE(plan({}, {}, false, {}).groups_may_be_denied);
  CHECK_FALSE(plan({}, kMapped, true, {.rootless = true}).keep_groups);
}

TEST_CASE("a whole user is planned as it is written", "[credentials]") {
  const Spec spec =
      read_user(R"({"uid": 4294967294, "gid": 5, "additionalGids": [7, 0, 7], "umask": 63})");
  const Plan expected{
      .uid = 4294967294, .gid = 5, .additional_gids = {7, 0, 7}, .umask = 077, .set_groups = true};
  CHECK(plan(spec, {}, false, {}) == expected);
}

TEST_CASE("a process without a user is root with no other groups and umask 0022", "[credentials]") {
  const spec::Document empty("config.json", "{}");
  CHECK(plan(read(empty.top()), {}, false, {}) == Plan{.umask = 0022});
  CHECK(plan(read_user("{}"), {}, false, {}) == Plan{.umask = 0022});
  CHECK(plan(read_user(R"({"umask": 0})"), {}, false, {}) == Plan{.umask = 0});
}

TEST_CASE("an id that setresuid takes for unchanged is refused, as are all that are none",
          "[credentials]") {
  for (const std::string id : {"4294967295", "4294967296", "-1", "1.5", "\"0\"", "true"}) {
    for (const std::string key : {"uid", "gid"}) {
      const Error error = error_of([&] { read_user("{\"" + key + "\": " + id + "}"); });
      CHECK(error.kind() == ErrorKind::spec);
      CHECK(error.field() == "/user/" + key);
    }
    CHECK(error_of([&] { read_user("{\"additionalGids\": [0, " + id + "]}"); }).field() ==
          "/user/additionalGids/1");
  }
}

TEST_CASE("a umask of more than permission bits is refused", "[credentials]") {
  CHECK(read_user(R"({"umask": 511})").umask == 0777U);
  CHECK(error_of([] { read_user(R"({"umask": 512})"); }).field() == "/user/umask");
}

TEST_CASE("ids that a new user namespace does not map are refused by field", "[credentials]") {
  CHECK(plan({.uid = 999, .gid = 99, .additional_gids = {98}}, kMapped, true, {}).uid == 999);
  const std::pair<Spec, std::string> cases[] = {
      {{.uid = 1000}, "/process/user/uid"},
      {{.gid = 100}, "/process/user/gid"},
      {{.additional_gids = {5, 100}}, "/process/user/additionalGids/1"}};
  for (const auto& [spec, field] : cases) {
    const Error error = error_of([&] { plan(spec, kMapped, true, {}); });
    CHECK(error.kind() == ErrorKind::spec);
    CHECK(error.field() == field);
    CHECK(error.message().find("is not mapped in the container's user namespace") !=
          std::string::npos);
  }
}

TEST_CASE("mappings say nothing where no user namespace is made", "[credentials]") {
  CHECK(plan({.uid = 1000}, kMapped, false, {}).uid == 1000);
}

TEST_CASE("additional groups are refused where the kernel forbids setgroups", "[credentials]") {
  id_map::Plan denied = kMapped;
  denied.deny_setgroups = true;
  const Error error = error_of([&] { plan({.additional_gids = {5}}, denied, true, {}); });
  CHECK(error.kind() == ErrorKind::spec);
  CHECK(error.message() == "cannot set any additional groups in a rootless container");
  CHECK(error.field() == "/process/user/additionalGids");
  CHECK_FALSE(plan({.uid = 5}, denied, true, {}).set_groups);
}

TEST_CASE("--user is whole decimal numbers and nothing else", "[credentials]") {
  const std::tuple<const char*, uid_t, std::optional<gid_t>> good[] = {
      {"0", 0, std::nullopt},
      {"1", 1, std::nullopt},
      {"1:2", 1, 2},
      {"0001", 1, std::nullopt},
      {"0:0", 0, 0},
      {"1000:0", 1000, 0},
      {"4294967294:4294967294", 4294967294, 4294967294}};
  for (const auto& [text, uid, gid] : good) {
    CAPTURE(text);
    const User user = parse_user(text);
    CHECK(user.uid == uid);
    CHECK(user.gid == gid);
  }
  const std::string bad[] = {"",    " 1",    "1 ",         "+1",          "-1",
                             "1:",  ":1",    ":",          "1:2:3",       "1::2",
                             "0x1", "root",  "1 2",        "1:root",      "1:-1",
                             "1,2", "1.0",   "4294967295", "4294967296",  "18446744073709551616",
                             "1e3", "1:\n2", "1: 2",       "1:4294967295"};
  for (const std::string& text : bad) {
    CAPTURE(text);
    const Error error = error_of([&] { parse_user(text); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() ==
          "invalid user \"" + text + "\": ids are whole numbers from 0 to 4294967294");
  }
  CHECK(error_of([] { parse_user(std::string("1\0", 2)); }).kind() == ErrorKind::usage);
}

TEST_CASE("groups, ids and umask are each explained", "[credentials]") {
  const auto first_text = [](const Plan& plan) {
    Explain out;
    explain(plan, out);
    REQUIRE(out.effects().size() == 3);
    CHECK(out.effects()[1].text == "run as uid 3 and gid 4");
    CHECK(out.effects()[2].text == "set the umask to 0022");
    return out.effects()[0].text;
  };
  CHECK(first_text({.uid = 3, .gid = 4}) == "clear the additional groups");
  CHECK(first_text({.uid = 3, .gid = 4, .additional_gids = {5, 6}}) ==
        "set the additional groups 5, 6");
  CHECK(first_text({.uid = 3, .gid = 4, .set_groups = false}) ==
        "keep the caller's additional groups: the kernel forbids setgroups here");
}

}  // namespace
}  // namespace tare::credentials
