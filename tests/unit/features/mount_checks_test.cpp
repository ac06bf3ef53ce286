// What mounts make of words and values that go together, or do not.
#include "mount_plan.hpp"

namespace tare::mounts {

TEST_CASE("mounts: words that would be without an effect are refused", "[mounts]") {
  for (const std::string word : {"copy-symlink", "src-nofollow", "dest-nofollow"}) {
    CHECK(refusal(entry("tmpfs", "t", "/m", '"' + word + '"')).find(word + " is for binds only") !=
          std::string::npos);
  }
  for (const std::string word : {"src-nofollow", "dest-nofollow"}) {
    CHECK(refusal(entry("bind", "/d", "/m", R"("copy-symlink", ")" + word + '"'))
              .find("copy-symlink excludes") != std::string::npos);
  }
  CHECK(refusal(entry("tmpfs", "/d", "/m", R"("bind", "tmpcopyup")")).find("for tmpfs only") !=
        std::string::npos);
  CHECK(refusal(entry("tmpfs", "/d", "/m", R"("remount", "tmpcopyup")")).find("for tmpfs only") !=
        std::string::npos);
  CHECK(refusal(entry("tmpfs", "/d", "/m", R"("idmap")")).find("only supported for bind-mounts") !=
        std::string::npos);
  CHECK(refusal(entry("bind", "/d", "/m", R"("bind", "remount", "idmap")"))
            .find("only supported for bind-mounts") != std::string::npos);
}

TEST_CASE("mounts: an option that is too long for the kernel is refused by its name", "[mounts]") {
  const std::string longest(255, 'x');
  CHECK(plan_one(entry("ext4", "/d", "/m", "\"data=" + longest + '"')).options.data ==
        std::vector<std::string>{"data=" + longest});
  CHECK(refusal(entry("ext4", "/d", "/m", "\"data=" + longest + "x\""))
            .find("option \"data\" has 256 bytes, and the kernel takes 255 at most") !=
        std::string::npos);
  CHECK(refusal(entry("nfs", longest + "x", "/m")).find("the source has 256 bytes") !=
        std::string::npos);
  CHECK(plan_one(entry("bind", "/" + longest, "/m")).source == "/" + longest);
  CHECK(refusal(entry("ext4", "/d", "/m", '"' + longest + "x\"")).find("an option has 256 bytes") !=
        std::string::npos);
  CHECK(refusal(entry("overlay", "o", "/m", "\"upperdir=" + longest + "x\"")).find("upperdir") !=
        std::string::npos);
}

TEST_CASE("mounts: a long list of an overlay's layers is one option for each", "[mounts]") {
  const std::string layer = "/" + std::string(150, 'l');
  const std::string words = "\"lowerdir=" + layer + ":" + layer + "\"";
  CHECK(plan_one(entry("overlay", "o", "/m", words)).options.data ==
        std::vector<std::string>{"lowerdir+=" + layer, "lowerdir+=" + layer});
}

TEST_CASE("mounts: mounts with the same mapping share a map, whatever their words", "[mounts]") {
  const auto mapped = [](const std::string& words, int host) {
    const std::string line =
        R"([{"containerID": 0, "hostID": )" + std::to_string(host) + R"(, "size": 9}])";
    return R"({"source": "/d", "destination": "/m", "options": ["bind")" + words +
           R"(], "uidMappings": )" + line + R"(, "gidMappings": )" + line + "}";
  };
  const Plan planned = plan_with({}, mapped("", 7) + "," + entry("bind", "/d", "/m") + "," +
                                         mapped(R"(, "ridmap")", 7) + "," + mapped("", 8));
  using id_mapped_mounts::Map;
  using id_mapped_mounts::Use;
  CHECK(planned.id_maps == std::vector<Map>{{.uids = {{0, 7, 9}}, .gids = {{0, 7, 9}}},
                                            {.uids = {{0, 8, 9}}, .gids = {{0, 8, 9}}}});
  CHECK(planned.mounts[0].id_map == Use{});
  CHECK(planned.mounts[1].id_map == std::nullopt);
  CHECK(planned.mounts[2].id_map == Use{.recursive = true});
  CHECK(planned.mounts[3].id_map == Use{.map = 1});
  CHECK(plan_with({}, entry("bind", "/d", "/m")).id_maps.empty());
}

TEST_CASE("mounts: a mapped source in the rootfs is taken within it like any other", "[mounts]") {
  const Mount mount =
      plan_one(entry("bind", "rootfs/data", "/m", R"("idmap=uids=0-7-9;gids=0-7-9")"));
  CHECK(mount.kind == Kind::inner_bind);
  CHECK(mount.source == "/data");
  CHECK(mount.id_map == id_mapped_mounts::Use{});
}

TEST_CASE("mounts: what cannot be mapped is refused with the mount", "[mounts]") {
  CHECK(refusal(entry("bind", "/d", "/m", R"("bind", "idmap")")) ==
        "error mounting \"/d\" to rootfs at \"/m\": id-mapped mounts must have both uid and gid "
        "mappings specified");
}

TEST_CASE("mounts: links and mappings are told of", "[mounts]") {
  Explain out;
  explain(plan_with({}, entry("bind", "/d", "m", R"("src-nofollow", "dest-nofollow")") + "," +
                            entry("bind", "/d", "/m",
                                  R"("copy-symlink", "ridmap=uids=0-7-9;gids=0-8-9")")),
          out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text ==
        "bind /d on /m, src-nofollow, dest-nofollow: a relative destination is one of the root");
  CHECK(out.effects()[1].text ==
        "bind /d on /m, copy-symlink, ids, of all below as well, mapped: "
        "users 0-7-9, groups 0-8-9");
}

}  // namespace tare::mounts
