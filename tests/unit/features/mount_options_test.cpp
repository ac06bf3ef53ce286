#include "features/mount_options.hpp"

#include <linux/mount.h>

#include <algorithm>
#include <catch2/catch.hpp>

namespace tare::mount_options {
namespace {

constexpr std::uint64_t kAtime = MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME;

Options parse_words(const std::string& words) {
  const spec::Document document("config.json", "{\"options\": [" + words + "]}");
  return parse(document.top());
}

Options parse_one(const std::string& word) {
  return parse_words('"' + word + '"');
}

// What parsing leaves of a text of data.
std::vector<std::string> data_of(const std::string& word) {
  return parse_one(word).data;
}

}  // namespace

TEST_CASE("mount options: a flag of the mount is set or cleared, and the last word holds",
          "[mount_options]") {
  const std::pair<const char*, std::uint64_t> setting[] = {
      {"ro", MOUNT_ATTR_RDONLY},
      {"nosuid", MOUNT_ATTR_NOSUID},
      {"nodev", MOUNT_ATTR_NODEV},
      {"noexec", MOUNT_ATTR_NOEXEC},
      {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW},
  };
  const char* clearing[] = {"rw", "suid", "dev", "exec", "symfollow"};
  for (std::size_t i = 0; i < std::size(clearing); ++i) {
    const auto& [word, bit] = setting[i];
    const std::string undo = clearing[i];
    CHECK(parse_one(word).set == bit);
    CHECK(parse_one(word).clear == 0);
    CHECK(parse_one(undo).set == 0);
    CHECK(parse_one(undo).clear == bit);
    CHECK(parse_words('"' + std::string(word) + "\", \"" + undo + '"') == parse_one(undo));
    CHECK(parse_words('"' + undo + "\", \"" + word + '"') == parse_one(word));
    CHECK(parse_one(word).names_flags);
    CHECK(parse_one(undo).names_flags);
  }
}

TEST_CASE("mount options: an access time comes with the whole field cleared", "[mount_options]") {
  CHECK(parse_one("noatime").set == MOUNT_ATTR_NOATIME);
  CHECK(parse_one("relatime").set == 0);
  CHECK(parse_one("strictatime").set == MOUNT_ATTR_STRICTATIME);
  for (const char* word : {"noatime", "relatime", "strictatime"}) {
    CHECK(parse_one(word).clear == kAtime);
  }
  CHECK(parse_one("nodiratime").set == MOUNT_ATTR_NODIRATIME);
  CHECK(parse_one("nodiratime").clear == MOUNT_ATTR__ATIME);
}

TEST_CASE("mount options: of two access times the kernel's rule decides", "[mount_options]") {
  CHECK(parse_words(R"("strictatime", "noatime")").set == MOUNT_ATTR_STRICTATIME);
  CHECK(parse_words(R"("relatime", "noatime")").set == MOUNT_ATTR_NOATIME);
  CHECK(parse_words(R"("noatime", "nodiratime")").set ==
        (MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODIRATIME));
}

TEST_CASE("mount options: words that take an access time back ask for none", "[mount_options]") {
  for (const char* word : {"atime", "diratime", "norelatime", "nostrictatime"}) {
    CHECK(parse_one(word) == Options{.names_flags = true});
  }
  CHECK(parse_words(R"("noatime", "atime")") == Options{.names_flags = true});
}

TEST_CASE("mount options: what belongs to the filesystem goes to it by its own names",
          "[mount_options]") {
  for (const std::string word : {"sync", "dirsync", "mand", "lazytime"}) {
    CHECK(parse_one(word) ==
          Options{.names_flags = true, .superblock = std::vector<std::string>{word}});
  }
  CHECK(parse_one("ro").superblock == std::vector<std::string>{"ro"});
  CHECK(parse_words(R"("ro", "rw", "sync", "async", "lazytime", "nolazytime", "mand", "nomand")")
            .superblock.empty());
  for (const char* word : {"iversion", "noiversion", "silent", "loud"}) {
    CHECK(parse_one(word) == Options{.names_flags = true});
  }
}

TEST_CASE("mount options: defaults is nothing", "[mount_options]") {
  CHECK(parse_one("defaults") == Options{});
  CHECK(parse_words("") == Options{});
}

TEST_CASE("mount options: words with r are for the tree, and leave the mount's own alone",
          "[mount_options]") {
  const std::tuple<const char*, const char*, std::uint64_t> pairs[] = {
      {"rro", "rrw", MOUNT_ATTR_RDONLY},
      {"rnosuid", "rsuid", MOUNT_ATTR_NOSUID},
      {"rnodev", "rdev", MOUNT_ATTR_NODEV},
      {"rnoexec", "rexec", MOUNT_ATTR_NOEXEC},
      {"rnodiratime", "rdiratime", MOUNT_ATTR_NODIRATIME},
      {"rnosymfollow", "rsymfollow", MOUNT_ATTR_NOSYMFOLLOW},
  };
  for (const auto& [sets, clears, bit] : pairs) {
    CHECK(parse_one(sets) == Options{.recursive_set = bit});
    CHECK(parse_one(clears) == Options{.recursive_clear = bit});
    CHECK(parse_words('"' + std::string(clears) + "\", \"" + sets + '"') == parse_one(sets));
    CHECK(parse_words('"' + std::string(sets) + "\", \"" + clears + '"') == parse_one(clears));
  }
}

TEST_CASE("mount options: an access time of a tree is a value of its field", "[mount_options]") {
  const std::pair<const char*, std::uint64_t> values[] = {
      {"rnoatime", MOUNT_ATTR_NOATIME},
      {"ratime", 0},
      {"rstrictatime", MOUNT_ATTR_STRICTATIME},
      {"rnostrictatime", 0},
      {"rrelatime", 0},
      {"rnorelatime", 0},
  };
  for (const auto& [word, value] : values) {
    CHECK(parse_one(word) == Options{.recursive_set = value, .recursive_clear = MOUNT_ATTR__ATIME});
  }
  CHECK(parse_words(R"("rnoatime", "rstrictatime")") == parse_one("rstrictatime"));
}

TEST_CASE("mount options: propagation is kept in the order given", "[mount_options]") {
  CHECK(
      parse_words(R"("rprivate", "shared", "slave", "runbindable")").propagation ==
      std::vector<std::uint64_t>{MS_PRIVATE | MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE | MS_REC});
  CHECK(
      parse_words(R"("rslave", "rshared", "private", "unbindable")").propagation ==
      std::vector<std::uint64_t>{MS_SLAVE | MS_REC, MS_SHARED | MS_REC, MS_PRIVATE, MS_UNBINDABLE});
}

TEST_CASE("mount options: rbind is a bind, and both are no flags of the mount", "[mount_options]") {
  CHECK(parse_one("bind") == Options{.bind = true});
  CHECK(parse_one("rbind") == Options{.bind = true, .recursive_bind = true});
  CHECK(parse_words(R"("remount", "tmpcopyup")") == Options{.remount = true, .copy_up = true});
}

TEST_CASE("mount options: every other word is data, split at commas outside quotes",
          "[mount_options]") {
  CHECK(data_of("size=64k") == std::vector<std::string>{"size=64k"});
  CHECK(data_of("size=64k,mode=755,,newinstance") ==
        std::vector<std::string>{"size=64k", "mode=755", "newinstance"});
  CHECK(data_of(R"(context=\"a:b:c1,c2\",size=1)") ==
        std::vector<std::string>{"context=a:b:c1,c2", "size=1"});
  CHECK(data_of("RO") == std::vector<std::string>{"RO"});
  CHECK(data_of("").empty());
  CHECK(data_of(",,").empty());
}

TEST_CASE("mount options: words about links are switches", "[mount_options]") {
  CHECK(parse_one("copy-symlink") == Options{.copy_link = true});
  CHECK(parse_one("src-nofollow") == Options{.keep_source_link = true});
  CHECK(parse_one("dest-nofollow") == Options{.keep_target_link = true});
}

TEST_CASE("mount options: crun's words for the superblock name no flag of the mount",
          "[mount_options]") {
  using List = std::vector<std::string>;
  CHECK(parse_one("rsync") == Options{.superblock = List{"sync"}});
  CHECK(parse_one("rdirsync") == Options{.superblock = List{"dirsync"}});
  CHECK(parse_one("rmand") == Options{.superblock = List{"mand"}});
  CHECK(parse_words(R"("rsync", "rasync", "rmand", "rnomand")") == Options{});
  CHECK(parse_words(R"("sync", "rasync")") == Options{.names_flags = true});
}

TEST_CASE("mount options: mappings are read beside the words for them", "[mount_options]") {
  const spec::Document document("config.json", R"({
      "options": ["ridmap", "ro"],
      "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
      "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 1}]})");
  const Options options = parse(document.top());
  CHECK(options.id_map == id_mapped_mounts::Spec{.asked = true,
                                                 .recursive = true,
                                                 .uids = {{.mapping = {0, 1000, 1}}},
                                                 .gids = {{.mapping = {0, 2000, 1}}}});
  CHECK(options.set == MOUNT_ATTR_RDONLY);
  const spec::Document empty("config.json", R"({"uidMappings": [], "gidMappings": null})");
  CHECK(parse(empty.top()) == Options{});
}

TEST_CASE("mount options: only strings are words", "[mount_options]") {
  for (const char* words : {"1", "null", "{}", "[\"ro\"]"}) {
    CHECK_THROWS_AS(parse_words(words), Error);
  }
  const spec::Document document("config.json", R"({"options": "ro"})");
  CHECK_THROWS_AS(parse(document.top()), Error);
}

TEST_CASE("mount options: each word that is told to callers is known to parse", "[mount_options]") {
  const std::vector<std::string> words = known_options();
  CHECK(std::is_sorted(words.begin(), words.end()));
  CHECK(std::adjacent_find(words.begin(), words.end()) == words.end());
  CHECK(words.size() == 70);
  for (const std::string& word : words) CHECK(parse_one(word).data.empty());
}

TEST_CASE("mount options: a change of attributes takes the propagation along", "[mount_options]") {
  CHECK(changes({}, true).empty());
  CHECK(changes({.propagation = {MS_PRIVATE | MS_REC}}, true) ==
        std::vector<Change>{{.propagation = MS_PRIVATE, .recursive = true}});
  CHECK(changes({.set = 1, .propagation = {MS_PRIVATE}}, true) ==
        std::vector<Change>{{.set = 1, .propagation = MS_PRIVATE}});
  CHECK(changes({.set = 1, .propagation = {MS_PRIVATE | MS_REC}}, true) ==
        std::vector<Change>{{.set = 1}, {.propagation = MS_PRIVATE, .recursive = true}});
  CHECK(changes({.set = 1, .propagation = {MS_SLAVE | MS_REC, MS_SHARED}}, false) ==
        std::vector<Change>{{.set = 1, .propagation = MS_SLAVE}, {.propagation = MS_SHARED}});
}

TEST_CASE("mount options: a lone mount is changed once, and words for the tree come last",
          "[mount_options]") {
  const Options options{.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV,
                        .clear = MOUNT_ATTR_NOSUID,
                        .recursive_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME,
                        .recursive_clear = MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME};
  CHECK(changes(options, false) ==
        std::vector<Change>{{.set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME,
                             .clear = MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME}});
  CHECK(changes(options, true) ==
        std::vector<Change>{
            {.set = options.set, .clear = options.clear},
            {.set = options.recursive_set, .clear = options.recursive_clear, .recursive = true}});
}

}  // namespace tare::mount_options
