#include <linux/mount.h>
#include <linux/sched.h>

#include <catch2/catch.hpp>

#include "mount_plan.hpp"

namespace tare::mounts {
namespace {

using mount_options::Options;

constexpr std::uint64_t kSlave = MS_SLAVE | MS_REC;
// What a bind that names flags does not take over from its source.
constexpr std::uint64_t kFlags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                 MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW;

}  // namespace

TEST_CASE("mounts: a list by itself is read as the one of a config, with its own pointers",
          "[mounts]") {
  const spec::Document list("list.json", R"([{"destination": "/a"}, {"destination": "b"}])");
  const Spec spec = read_list(list.top());
  REQUIRE(spec.entries.size() == 2);
  CHECK(spec.entries[1].destination == "b");
  CHECK(spec.entries[1].pointer == "/1");
  const spec::Document none("list.json", "[]");
  CHECK(read_list(none.top()).entries.empty());
  for (const char* text : {R"({"mounts": []})", "null", "[1]", "[{}]", R"([{"destination": ""}])",
                           R"([{"destination": 1}])"}) {
    INFO(text);
    const spec::Document bad("list.json", text);
    CHECK_THROWS_AS(read_list(bad.top()), Error);
  }
}

TEST_CASE("mounts: a config without mounts plans none", "[mounts]") {
  CHECK(plan_with({}, "") == Plan{});
  const spec::Document nothing("config.json", "{}");
  CHECK(read(nothing.top()).entries.empty());
}

TEST_CASE("mounts: the mounts of every container are planned in their order", "[mounts]") {
  const Plan planned =
      plan_with({}, entry("proc", "proc", "/proc") + "," +
                        entry("tmpfs", "tmpfs", "/dev", R"("nosuid", "strictatime", "mode=755")") +
                        "," + entry("sysfs", "sysfs", "/sys", R"("ro", "noexec")"));
  CHECK(planned ==
        Plan{.mounts = {
                 {.destination = "/proc", .source = "proc", .type = "proc", .pointer = "/mounts/0"},
                 {.destination = "/dev",
                  .source = "tmpfs",
                  .type = "tmpfs",
                  .options = {.names_flags = true,
                              .set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME,
                              .clear = MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME,
                              .data = {"mode=755"}},
                  .pointer = "/mounts/1"},
                 {.destination = "/sys",
                  .source = "sysfs",
                  .type = "sysfs",
                  .options = {.names_flags = true,
                              .set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC,
                              .superblock = {"ro"}},
                  .pointer = "/mounts/2"}}});
}

TEST_CASE("mounts: a bind without other words keeps its source's flags and leaves its group",
          "[mounts]") {
  CHECK(plan_one(entry("none", "/data", "/d", R"("rbind")")) ==
        Mount{.kind = Kind::bind,
              .destination = "/d",
              .source = "/data",
              .options = {.bind = true, .recursive_bind = true, .propagation = {kSlave}},
              .pointer = "/mounts/0"});
}

TEST_CASE("mounts: a bind that names a flag has those that it names and no others", "[mounts]") {
  const Mount mount = plan_one(entry("bind", "/data", "/d", R"("bind", "ro", "nosuid")"));
  CHECK(mount.options.set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));
  CHECK(mount.options.clear == (kFlags & ~mount.options.set));
  CHECK(mount.options.superblock.empty());
  CHECK(plan_one(entry("bind", "/data", "/d", R"("bind", "rw")")).options.clear == kFlags);
  CHECK(plan_one(entry("bind", "/data", "/d", R"("bind", "rro")")).options.clear == 0);
}

TEST_CASE("mounts: in a user namespace only an explicit word clears a source's flag", "[mounts]") {
  const std::string bind = entry("bind", "/data", "/d", R"("bind", "nosuid", "dev")");
  CHECK(plan_one(bind, in_user_namespace()).options.clear == MOUNT_ATTR_NODEV);
  CHECK(plan_one(bind, {.rootless = true}).options.clear == MOUNT_ATTR_NODEV);
}

TEST_CASE("mounts: propagation that is asked for comes after the usual one, or in its place",
          "[mounts]") {
  const auto propagation = [](const std::string& words, std::uint64_t root = 0) {
    return plan_one(entry("", "/data", "/d", words), {.root = {.propagation = root}})
        .options.propagation;
  };
  using List = std::vector<std::uint64_t>;
  CHECK(propagation(R"("rbind", "rshared")") == List{kSlave, MS_SHARED | MS_REC});
  CHECK(propagation(R"("rbind", "rprivate")") == List{MS_PRIVATE | MS_REC});
  CHECK(propagation(R"("rbind", "private")") == List{kSlave, MS_PRIVATE});
  CHECK(propagation(R"("bind", "private")") == List{MS_PRIVATE});
  CHECK(propagation(R"("rbind")", MS_SHARED | MS_REC).empty());
  CHECK(propagation(R"("rbind", "slave")", MS_SHARED) == List{MS_SLAVE});
  CHECK(propagation(R"("rbind")", MS_PRIVATE) == List{MS_PRIVATE | MS_REC});
}

TEST_CASE("mounts: type bind alone is a bind, and the option is one whatever the type",
          "[mounts]") {
  for (const std::string& one :
       {entry("bind", "/data", "/d"), entry("tmpfs", "/data", "/d", R"("bind")"),
        entry("", "/data", "/d", R"("bind")")}) {
    CHECK(plan_one(one) == Mount{.kind = Kind::bind,
                                 .destination = "/d",
                                 .source = "/data",
                                 .options = {.bind = true, .propagation = {kSlave}},
                                 .pointer = "/mounts/0"});
  }
}

TEST_CASE("mounts: a relative source starts in the bundle, a relative destination at the root",
          "[mounts]") {
  const Mount mount = plan_one(entry("bind", "./data/../other", "some/../where/"));
  CHECK(mount.source == "/b/other");
  CHECK(mount.destination == "/where");
  CHECK(plan_one(entry("bind", "/data", "/../../etc")).destination == "/etc");
}

TEST_CASE("mounts: a destination below the rootfs's own path is one within it", "[mounts]") {
  CHECK(plan_one(entry("tmpfs", "t", "/b/rootfs/m")).destination == "/m");
  CHECK(plan_one(entry("tmpfs", "t", "/b/rootfsx/m")).destination == "/b/rootfsx/m");
  CHECK(plan_one(entry("tmpfs", "t", "/b/m"), {.root = {.path = "/"}}).destination == "/b/m");
}

TEST_CASE("mounts: a source in the rootfs is taken within it, when earlier mounts are there",
          "[mounts]") {
  const Mount mount = plan_one(entry("bind", "rootfs/a/../b", "/d"));
  CHECK(mount.kind == Kind::inner_bind);
  CHECK(mount.source == "/b");
  CHECK(plan_one(entry("bind", "/b/rootfsx", "/d")).kind == Kind::bind);
  CHECK(plan_one(entry("bind", "/b", "/d"), {.root = {.path = "/"}}).kind == Kind::bind);
}

TEST_CASE("mounts: cgroup is the new hierarchy, whatever it is called", "[mounts]") {
  for (const char* type : {"cgroup", "cgroup2"}) {
    CHECK(plan_one(entry(type, "cgroup", "/sys/fs/cgroup", R"("ro")")) ==
          Mount{.destination = "/sys/fs/cgroup",
                .source = "cgroup",
                .type = "cgroup2",
                .options = {.names_flags = true, .set = MOUNT_ATTR_RDONLY, .superblock = {"ro"}},
                .pointer = "/mounts/0"});
  }
}

TEST_CASE("mounts: without a cgroup namespace the host's whole tree is bound", "[mounts]") {
  const std::string one = entry("cgroup", "cgroup", "/c", R"("ro", "nosuid", "nsdelegate")");
  for (const std::uint64_t user : {std::uint64_t{0}, std::uint64_t{CLONE_NEWUSER}}) {
    const Mount mount = plan_one(one, {.namespaces = {.create = CLONE_NEWNS | user}});
    CHECK(mount.kind == Kind::bind);
    CHECK(mount.source == "/sys/fs/cgroup");
    CHECK(mount.options == Options{.bind = true,
                                   .names_flags = true,
                                   .set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID,
                                   .propagation = {kSlave}});
    CHECK_FALSE(mount.reason.empty());
  }
}

TEST_CASE("mounts: a cgroup namespace of another owner shows the container's own cgroup",
          "[mounts]") {
  const std::string one = entry("cgroup", "cgroup", "/c");
  const namespaces::Entry cgroup{.type = namespaces::Type::cgroup, .path = "/c"};
  const namespaces::Entry user{.type = namespaces::Type::user, .path = "/u"};
  const auto kind = [&](const namespaces::Plan& spaces, const std::string& own = "/own") {
    return plan_one(one, {.namespaces = spaces, .cgroup = own}).kind;
  };
  CHECK(kind({.join = {cgroup}}) == Kind::filesystem);
  CHECK(kind({.join = {cgroup, user}}) == Kind::filesystem);
  CHECK(kind({.create = CLONE_NEWUSER | CLONE_NEWCGROUP}) == Kind::filesystem);
  CHECK(kind({.create = CLONE_NEWUSER, .join = {cgroup}}) == Kind::bind);
  CHECK(kind({.create = CLONE_NEWUSER, .join = {cgroup}}, "") == Kind::filesystem);
  CHECK(plan_one(one, {.namespaces = {.create = CLONE_NEWUSER, .join = {cgroup}}}).source ==
        "/sys/fs/cgroup/c");
}

TEST_CASE("mounts: sysfs is the host's where a user namespace may not have one", "[mounts]") {
  const std::string one = entry("sysfs", "sysfs", "/sys", R"("nosuid", "rw")");
  const namespaces::Entry user{.type = namespaces::Type::user, .path = "/u"};
  const namespaces::Entry network{.type = namespaces::Type::network, .path = "/n"};
  CHECK(plan_one(one).kind == Kind::filesystem);
  CHECK(plan_one(one, in_user_namespace(CLONE_NEWNET)).kind == Kind::filesystem);
  CHECK(plan_one(one, {.namespaces = {.join = {user, network}}}).kind == Kind::filesystem);
  CHECK(plan_one(one, {.namespaces = {.join = {network}}, .rootless = true}).kind ==
        Kind::filesystem);
  CHECK(plan_one(one, {.namespaces = {.join = {user}}}).kind == Kind::bind);
  CHECK(plan_one(one, {.namespaces = {.create = CLONE_NEWUSER, .join = {network}}}).kind ==
        Kind::bind);
  CHECK(plan_one(one, {.rootless = true}).kind == Kind::bind);
  const Mount mount = plan_one(one, in_user_namespace());
  CHECK(mount.source == "/sys");
  CHECK(mount.options.recursive_bind);
  CHECK(mount.options.recursive_set == MOUNT_ATTR_RDONLY);
  CHECK(mount.options.set == MOUNT_ATTR_NOSUID);
}

TEST_CASE("mounts: the host's message queues are bound where they cannot be mounted", "[mounts]") {
  const std::string one = entry("mqueue", "mqueue", "/dev/mqueue", R"("nosuid")");
  const namespaces::Entry ipc{.type = namespaces::Type::ipc, .path = "/i"};
  CHECK(plan_one(one).kind == Kind::filesystem);
  CHECK(plan_one(one, in_user_namespace(CLONE_NEWIPC)).kind == Kind::filesystem);
  // They would be other queues than those of the namespace that is joined.
  CHECK(plan_one(one, {.namespaces = {.create = CLONE_NEWUSER, .join = {ipc}}}).kind ==
        Kind::filesystem);
  const Mount mount = plan_one(one, in_user_namespace());
  CHECK(mount.kind == Kind::bind);
  CHECK(mount.source == "/dev/mqueue");
  CHECK(mount.options.set == MOUNT_ATTR_NOSUID);
  CHECK_FALSE(mount.reason.empty());
}

TEST_CASE("mounts: what set-up has to write into becomes read-only late", "[mounts]") {
  for (const std::string& one :
       {entry("tmpfs", "t", "/run", R"("ro")"), entry("devtmpfs", "t", "/dev", R"("ro")")}) {
    const Mount mount = plan_one(one);
    CHECK(mount.late_readonly);
    CHECK(mount.options == Options{.names_flags = true});
  }
  const Mount tree = plan_one(entry("tmpfs", "t", "/dev", R"("rro")"));
  CHECK(tree.late_readonly);
  CHECK(tree.options == Options{});
  CHECK_FALSE(plan_one(entry("tmpfs", "t", "/run", R"("rw")")).late_readonly);
  CHECK_FALSE(plan_one(entry("proc", "t", "/proc", R"("ro")")).late_readonly);
  CHECK_FALSE(plan_one(entry("bind", "/data", "/dev", R"("ro")")).late_readonly);
}

TEST_CASE("mounts: a remount keeps its words, of a bind those of the mount alone", "[mounts]") {
  CHECK(plan_one(entry("tmpfs", "t", "/m", R"("remount", "ro", "size=1m")")) ==
        Mount{.kind = Kind::remount,
              .destination = "/m",
              .source = "t",
              .type = "tmpfs",
              .options = {.remount = true,
                          .names_flags = true,
                          .set = MOUNT_ATTR_RDONLY,
                          .superblock = {"ro"},
                          .data = {"size=1m"}},
              .pointer = "/mounts/0"});
  const Mount bind = plan_one(entry("", "", "/", R"("bind", "remount", "nodev")"));
  CHECK(bind.kind == Kind::remount);
  CHECK(bind.options.set == MOUNT_ATTR_NODEV);
  CHECK(bind.options.clear == 0);
}

TEST_CASE("mounts: what runc refuses is refused in its words", "[mounts]") {
  CHECK(
      refusal(entry("tmpfs", "t", "/proc/self")) ==
      "error mounting \"t\" to rootfs at \"/proc/self\": \"/proc/self\" cannot be mounted because "
      "it is inside /proc");
  CHECK(refusal(entry("tmpfs", "t", "/proc")).find("because it is not of type proc") !=
        std::string::npos);
  CHECK(refusal(entry("bind", "/b/rootfs/x", "/proc")).find("because it is not of type proc") !=
        std::string::npos);
  CHECK(refusal(entry("tmpfs", "t", "/x/..")).find("is on the top of rootfs") != std::string::npos);
  CHECK(refusal(entry("bind", "/data", "/d", R"("bind", "mode=755")"))
            .find("bind mounts cannot have any filesystem-specific options applied") !=
        std::string::npos);
}

TEST_CASE("mounts: no bind and no filesystem goes below /proc but on the harmless files",
          "[mounts]") {
  for (const char* place : {"/proc/sys", "/proc/1", "/proc/self/attr", "/proc/../proc/sys/kernel",
                            "proc/sysrq-trigger", "/b/rootfs/proc/kcore", "/proc/stat/x"}) {
    CHECK(refusal(entry("bind", "/data", place)).find("is inside /proc") != std::string::npos);
    CHECK(refusal(entry("proc", "proc", place)).find("is inside /proc") != std::string::npos);
  }
  for (const char* place : {"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat",
                            "/proc/swaps", "/proc/uptime", "/proc/loadavg", "/proc/slabinfo",
                            "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled"}) {
    CHECK(plan_one(entry("bind", "/data", place)).kind == Kind::bind);
  }
  CHECK(plan_one(entry("tmpfs", "t", "/process")).kind == Kind::filesystem);
}

TEST_CASE("mounts: an entry that says too little is refused", "[mounts]") {
  CHECK(refusal(entry("", "t", "/m")).find("needs a type") != std::string::npos);
  CHECK(refusal(entry("bind", "", "/m")).find("needs a source") != std::string::npos);
  CHECK(refusal(entry("proc", "t", "/m", R"("tmpcopyup")")).find("for tmpfs only") !=
        std::string::npos);
  CHECK_THROWS_AS(plan_with({}, R"({"type": "tmpfs"})"), Error);
  CHECK_THROWS_AS(plan_with({}, R"({"type": "tmpfs", "destination": ""})"), Error);
  CHECK_THROWS_AS(plan_with({}, R"({"type": 1, "destination": "/m"})"), Error);
  CHECK_THROWS_AS(plan_with({}, R"("tmpfs")"), Error);
}

TEST_CASE("mounts: a mount label goes to filesystems that take one, as runc has it", "[mounts]") {
  const auto labelled = [](const std::string& one) {
    const spec::Document document("config.json", R"({"mounts": [)" + one + "]}");
    const namespaces::Plan namespaces;
    const rootfs::Plan rootfs{.path = "/b/rootfs"};
    const id_map::Plan maps;
    const Context context{.namespaces = namespaces,
                          .label = {.label = "u:r:t:s0:c1,c2"},
                          .rootfs = rootfs,
                          .id_map = maps};
    return plan(read(document.top()), context, {}).mounts.at(0);
  };
  const std::vector<std::string> own{"size=1k", "context=u:r:t:s0:c1,c2"};
  CHECK(labelled(entry("tmpfs", "t", "/t", R"("size=1k")")).options.data == own);
  const std::vector<std::string> given{"context=other"};
  CHECK(labelled(entry("tmpfs", "t", "/t", R"("context=\"other\"")")).options.data == given);
  CHECK(labelled(entry("mqueue", "m", "/dev/mqueue")).label == "u:r:t:s0:c1,c2");
  for (const char* type : {"mqueue", "proc", "sysfs", "cgroup"}) {
    const std::string place = type == std::string("proc") ? "/proc" : "/sys";
    CHECK(labelled(entry(type, "x", place)).options.data.empty());
  }
  CHECK(labelled(entry("bind", "/data", "/d", R"("bind")")).options.data.empty());
}

TEST_CASE("mounts: a filesystem without a source is named after its type", "[mounts]") {
  CHECK(plan_one(R"({"type": "tmpfs", "destination": "/m"})").source == "tmpfs");
}

TEST_CASE("mounts: the last mount on /dev tells whether it is bound", "[mounts]") {
  const std::string bind = entry("bind", "/dev", "/dev");
  const std::string fresh = entry("tmpfs", "t", "/dev/");
  const std::string remount = entry("tmpfs", "t", "/dev", R"("remount", "ro")");
  CHECK_FALSE(binds_dev({}));
  CHECK(binds_dev(plan_with({}, bind)));
  CHECK(binds_dev(plan_with({}, fresh + "," + bind + "," + remount)));
  CHECK_FALSE(binds_dev(plan_with({}, bind + "," + fresh)));
  CHECK_FALSE(binds_dev(plan_with({}, entry("bind", "/dev/null", "/dev/null"))));
}

TEST_CASE("mounts: each is explained with its entry, and with the reason where it was changed",
          "[mounts]") {
  Explain out;
  explain(plan_with(in_user_namespace(), entry("tmpfs", "t", "/run", R"("ro", "nosuid")") + "," +
                                             entry("bind", "/data", "/d", R"("rbind", "rro")") +
                                             "," + entry("sysfs", "s", "/sys") + "," +
                                             entry("tmpfs", "t", "/run", R"("remount", "noexec")")),
          out);
  REQUIRE(out.effects().size() == 4);
  CHECK(out.effects()[0].text == "mount a new tmpfs on /run, ro at the end, nosuid");
  CHECK(out.effects()[1].text == "bind /data and all below it on /d, rro");
  CHECK(out.effects()[2].text.starts_with("bind /sys and all below it on /sys, rro: the host's"));
  CHECK(out.effects()[3].text == "change the options of what is mounted on /run, noexec");
  CHECK(out.effects()[3].field == "/mounts/3");
}

}  // namespace tare::mounts
