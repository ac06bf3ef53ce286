#include "features/id_mapped_mounts.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "sys/file.hpp"

namespace tare::id_mapped_mounts {
namespace {

// What is read of one mount.
Spec read_mount(const std::string& mount) {
  const spec::Document document("config.json", mount);
  Spec spec;
  read_fields(document.top(), spec);
  if (const auto list = document.top().find("options")) {
    for (const spec::Reader& item : list->items()) {
      const bool known = read_word(item, item.string(), spec);
      CHECK(known);
    }
  }
  return spec;
}

Spec read_text(const std::string& word) {
  return read_mount("{\"options\": [\"" + word + "\"]}");
}

std::string fault_of(const std::string& mount) {
  try {
    read_mount(mount);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    return error.message();
  }
  return "nothing was refused";
}

struct Setting {
  namespaces::Plan namespaces{};
  id_map::Plan id_map{};
  bool rootless = false;
};

Setting with_user_namespace() {
  return {.namespaces = {.create = CLONE_NEWUSER},
          .id_map = {.uids = {{0, 100000, 1}, {1, 200000, 1000}}, .gids = {{0, 300000, 1000}}}};
}

Map map_of(const std::string& word, const Setting& setting = {}) {
  std::vector<Map> maps;
  plan(read_text(word), {setting.namespaces, setting.id_map, setting.rootless}, maps);
  return maps.at(0);
}

std::string refusal(const std::string& word, const Setting& setting = {}) {
  try {
    map_of(word, setting);
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was refused";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("id-mapped mounts: a mount that says nothing asks for nothing", "[id_mapped_mounts]") {
  CHECK(read_mount("{}") == Spec{});
  CHECK(read_mount(R"({"uidMappings": [], "gidMappings": null, "options": []})") == Spec{});
}

TEST_CASE("id-mapped mounts: fields and words ask for one", "[id_mapped_mounts]") {
  const std::string line = R"([{"containerID": 1, "hostID": 2, "size": 3}])";
  CHECK(read_mount(R"({"uidMappings": )" + line + R"(, "gidMappings": )" + line + "}") ==
        Spec{.asked = true, .uids = {{.mapping = {1, 2, 3}}}, .gids = {{.mapping = {1, 2, 3}}}});
  CHECK(read_text("idmap") == Spec{.asked = true});
  CHECK(read_text("idmap=") == Spec{.asked = true});
  CHECK(read_text("ridmap") == Spec{.asked = true, .recursive = true});
}

TEST_CASE("id-mapped mounts: other words are not of them", "[id_mapped_mounts]") {
  const spec::Document document("config.json", R"(["x"])");
  Spec spec;
  for (const char* word : {"", "=", "idmapped", "IDMAP", "rbind", "uids=0-1-1", "idma"}) {
    CHECK_FALSE(read_word(document.top(), word, spec));
  }
  CHECK(spec == Spec{});
}

TEST_CASE("id-mapped mounts: crun's text has triples of ids", "[id_mapped_mounts]") {
  CHECK(read_text("ridmap=uids=0-1-10#@10-11-12;gids=0-4294967290-3") ==
        Spec{.asked = true,
             .recursive = true,
             .uids = {{.mapping = {0, 1, 10}}, {.mapping = {10, 11, 12}, .relative = true}},
             .gids = {{.mapping = {0, 4294967290, 3}}}});
}

TEST_CASE("id-mapped mounts: a text that is none is refused by its part", "[id_mapped_mounts]") {
  const auto said = [](const std::string& text) {
    return fault_of("{\"options\": [\"idmap=" + text + "\"]}");
  };
  for (const char* triple : {"0-1", "0-1-2-3", "a-b-c", "0--1", "-1-0-1", "0-1-4294967296",
                             "0 -1-2", "@", "@@0-1-2", "0-1-2x", "0x1-1-1", "+1-1-1", "--"}) {
    const std::string text = said("uids=" + std::string(triple));
    CHECK(contains(text, "/options/0"));
    CHECK(contains(text, "invalid mapping \"" + std::string(triple) + "\""));
  }
  for (const char* text : {"uids=", "uids=0-1-1##1-2-1", "uids=#0-1-1"}) {
    CHECK(contains(said(text), "invalid mapping \"\""));
  }
  CHECK(contains(said("pids=0-1-1"), R"(expected "uids=" or "gids=", found "pids")"));
  CHECK(contains(said("0-1-1"), "found \"0-1-1\""));
  CHECK(contains(said(";"), "found \"\""));
  CHECK(contains(said("uids=0-1-1;uids=1-2-1"), "uids are given more than once"));
}

TEST_CASE("id-mapped mounts: fields of the wrong form are refused by pointer",
          "[id_mapped_mounts]") {
  const auto said = [](const std::string& value) {
    return fault_of("{\"gidMappings\": " + value + "}");
  };
  CHECK(contains(said("{}"), "/gidMappings"));
  CHECK(contains(said("[1]"), "/gidMappings/0"));
  CHECK(contains(said(R"([{"containerID": 0, "hostID": 0}])"), "size"));
  CHECK(contains(said(R"([{"containerID": 0, "hostID": 0, "size": 0}])"), "/gidMappings/0/size"));
  CHECK(contains(said(R"([{"containerID": "0", "hostID": 0, "size": 1}])"),
                 "/gidMappings/0/containerID"));
  CHECK(contains(said(R"([{"containerID": 4294967290, "hostID": 0, "size": 9}])"), "run over"));
  CHECK(contains(said(R"([{"containerID": 0, "hostID": 0, "size": 9},
                          {"containerID": 8, "hostID": 100, "size": 9}])"),
                 "/gidMappings/1: this mapping and an earlier one overlap"));
}

TEST_CASE("id-mapped mounts: without mappings the container's are taken", "[id_mapped_mounts]") {
  const Setting own = with_user_namespace();
  CHECK(map_of("idmap", own) == Map{.uids = own.id_map.uids, .gids = own.id_map.gids});
  const namespaces::Entry entry{.type = namespaces::Type::user, .path = "/proc/7/ns/user"};
  CHECK(map_of("idmap", {.namespaces = {.join = {entry}}}) == Map{.path = "/proc/7/ns/user"});
  CHECK(map_of("idmap=uids=0-1-1;gids=0-2-1", {.namespaces = {.join = {entry}}}) ==
        Map{.uids = {{0, 1, 1}}, .gids = {{0, 2, 1}}});
}

TEST_CASE("id-mapped mounts: half a mapping is none", "[id_mapped_mounts]") {
  for (const char* word : {"idmap", "ridmap", "idmap=uids=0-1-1", "idmap=gids=0-1-1"}) {
    CHECK(refusal(word) == "id-mapped mounts must have both uid and gid mappings specified");
  }
  CHECK(refusal("idmap=uids=0-1-1", with_user_namespace()) ==
        "id-mapped mounts must have both uid and gid mappings specified");
}

TEST_CASE("id-mapped mounts: a relative mapping counts within the container's",
          "[id_mapped_mounts]") {
  const Setting own = with_user_namespace();
  CHECK(map_of("idmap=uids=@5-1-10#20-40-1;gids=@0-0-1000", own) ==
        Map{.uids = {{5, 200000, 10}, {20, 40, 1}}, .gids = {{0, 300000, 1000}}});
  CHECK(contains(refusal("idmap=uids=@0-5000-1;gids=0-1-1", own),
                 "the mapping @0-5000-1: relative to an id that the container does not have"));
  CHECK(contains(refusal("idmap=uids=@0-0-2;gids=0-1-1", own), "crosses a border"));
  CHECK(contains(refusal("idmap=uids=@0-1-4294967295;gids=0-1-1", own), "crosses a border"));
  CHECK(contains(refusal("idmap=uids=@0-0-0;gids=0-1-1", own), "a size of at least 1"));
  CHECK(contains(refusal("idmap=uids=@0-0-1;gids=0-1-1"), "no mappings of a user namespace"));
}

TEST_CASE("id-mapped mounts: mappings of a text are held to what fields are",
          "[id_mapped_mounts]") {
  CHECK(contains(refusal("idmap=uids=0-1-0;gids=0-1-1"), "a size of at least 1"));
  CHECK(contains(refusal("idmap=uids=0-1-5#4-9-5;gids=0-1-1"), "the mapping 4-9-5: this mapping"));
  CHECK(contains(refusal("idmap=uids=0-1-5#9-5-5;gids=0-1-1"), "overlap"));
  CHECK(contains(refusal("idmap=uids=4294967290-1-9;gids=0-1-1"), "run over the highest"));
}

TEST_CASE("id-mapped mounts: they are not for the rootless", "[id_mapped_mounts]") {
  CHECK(refusal("idmap", {.rootless = true}) ==
        "id-mapped mounts are not supported for rootless containers");
}

TEST_CASE("id-mapped mounts: a map that is there is used again", "[id_mapped_mounts]") {
  std::vector<Map> maps;
  const Setting setting;
  const Context context{setting.namespaces, setting.id_map};
  const Spec one = read_text("idmap=uids=0-1-1;gids=0-1-1");
  const Spec other = read_text("ridmap=uids=0-2-1;gids=0-2-1");
  CHECK(plan(one, context, maps) == Use{.map = 0});
  CHECK(plan(other, context, maps) == Use{.map = 1, .recursive = true});
  CHECK(plan(one, context, maps) == Use{.map = 0});
  CHECK(maps.size() == 2);
}

TEST_CASE("id-mapped mounts: each is explained with its map", "[id_mapped_mounts]") {
  const std::vector<Map> maps = {{.uids = {{0, 1, 2}, {3, 4, 5}}, .gids = {{6, 7, 8}}},
                                 {.path = "/n"}};
  CHECK(explain({.map = 0}, maps) == ", ids mapped: users 0-1-2#3-4-5, groups 6-7-8");
  CHECK(explain({.map = 1, .recursive = true}, maps) ==
        ", ids, of all below as well, mapped as in /n");
}

TEST_CASE("id-mapped mounts: what is no mount, or no namespace, is told", "[id_mapped_mounts]") {
  const sys::Fd file = sys::open_at(sys::FdRef::cwd(), "/dev/null", O_RDONLY);
  const auto said = [&](const Map& map) {
    const std::vector<Map> maps = {map};
    try {
      UserNamespaces(maps).apply({}, file);
    } catch (const Error& error) {
      return error.message() + " / " + error.hint();
    }
    return std::string("nothing failed");
  };
  CHECK(contains(said({.path = "/dev/null"}), "map the ids of the mount: \"/dev/null\" is no"));
  CHECK(contains(said({.path = "/proc/self/ns/user"}), "which maps no id to another"));
  if (test::skip_unless_root()) return;
  const std::string text = said({.uids = {{0, 1000, 1}}, .gids = {{0, 1000, 1}}});
  CHECK(contains(text, "mount_setattr"));
  CHECK(contains(text, "does not support id-mapped mounts"));
  // Hosts have no such id: the kernel's refusal of the map is told, and the process is collected.
  CHECK(contains(said({.uids = {{0, 4294967295, 1}}, .gids = {{0, 0, 1}}}), "uid_map"));
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

}  // namespace tare::id_mapped_mounts
