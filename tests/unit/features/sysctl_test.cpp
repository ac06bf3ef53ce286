#include "features/sysctl.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>

#include "sys/file.hpp"

namespace tare::sysctl {
namespace {

using namespaces::Type;

Spec read_text(const std::string& text) {
  const spec::Document document("config.json", text);
  return read(document.top().at("linux"));
}

namespaces::Plan with(std::initializer_list<Type> types) {
  namespaces::Plan plan;
  for (const Type type : types) plan.create |= namespaces::clone_flag(type);
  return plan;
}

const namespaces::Plan kAll = with({Type::ipc, Type::network, Type::uts, Type::user, Type::mount});

Plan plan_one(const std::string& name, const namespaces::Plan& namespaces) {
  return plan({.entries = {{.name = name, .value = "1", .pointer = "/linux/sysctl/x"}}}, namespaces,
              false);
}

std::string path_of(const std::string& name) {
  return plan_one(name, kAll).settings.at(0).path;
}

std::string refusal(const std::string& name, const namespaces::Plan& namespaces) {
  try {
    plan_one(name, namespaces);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    CHECK(error.field() == "/linux/sysctl/x");
    return error.message();
  }
  return "nothing was refused";
}

TEST_CASE("sysctls are planned as files, with the field that asked", "[sysctl]") {
  const Spec spec =
      read_text(R"({"linux": {"sysctl": {"net.ipv4.ip_forward": "1", "kernel.msgmax": "65536"}}})");
  CHECK(plan(spec, kAll, true) ==
        Plan{.settings = {{.path = "kernel/msgmax",
                           .value = "65536",
                           .pointer = "/linux/sysctl/kernel.msgmax"},
                          {.path = "net/ipv4/ip_forward",
                           .value = "1",
                           .pointer = "/linux/sysctl/net.ipv4.ip_forward"}}});
}

TEST_CASE("no sysctl is nothing to do", "[sysctl]") {
  CHECK(plan(read_text(R"({"linux": {}})"), {}, false) == Plan{});
  CHECK(plan(read_text(R"({"linux": {"sysctl": {}}})"), {}, false) == Plan{});
}

TEST_CASE("a value that is no text is refused", "[sysctl]") {
  CHECK_THROWS_WITH(read_text(R"({"linux": {"sysctl": {"net.ipv4.ip_forward": 1}}})"),
                    Catch::Contains("/linux/sysctl/net.ipv4.ip_forward: expected a string"));
}

TEST_CASE("the first separator decides what the other one means", "[sysctl]") {
  CHECK(path_of("net.ipv4.conf.all.rp_filter") == "net/ipv4/conf/all/rp_filter");
  CHECK(path_of("net/ipv4/conf/all/rp_filter") == "net/ipv4/conf/all/rp_filter");
  CHECK(path_of("net/ipv4/conf/eno2.100/rp_filter") == "net/ipv4/conf/eno2.100/rp_filter");
  CHECK(path_of("net.ipv4.conf.eno2/100.rp_filter") == "net/ipv4/conf/eno2.100/rp_filter");
}

TEST_CASE("a sysctl needs its namespace", "[sysctl]") {
  const auto [name, type, words] = GENERATE(table<std::string, Type, std::string>({
      {"kernel.msgmax", Type::ipc,
       "sysctl \"kernel.msgmax\" is not allowed in the hosts ipc namespace"},
      {"kernel.sem", Type::ipc, "sysctl \"kernel.sem\" is not allowed in the hosts ipc namespace"},
      {"kernel/shm_rmid_forced", Type::ipc,
       "sysctl \"kernel.shm_rmid_forced\" is not allowed in the hosts ipc namespace"},
      {"fs.mqueue.msg_max", Type::ipc,
       "sysctl \"fs.mqueue.msg_max\" is not allowed in the hosts ipc namespace"},
      {"net.core.somaxconn", Type::network,
       "sysctl \"net.core.somaxconn\" not allowed in host network namespace"},
      {"kernel.domainname", Type::uts,
       "sysctl \"kernel.domainname\" is not in a separate kernel namespace"},
      {"user.max_user_namespaces", Type::user,
       "setting ucounts without a user namespace not allowed: user.max_user_namespaces"},
  }));
  namespaces::Plan others = kAll;
  others.create &= ~namespaces::clone_flag(type);
  CHECK(refusal(name, others) == words);
  CHECK(plan_one(name, with({type})).settings.size() == 1);
  CHECK(plan_one(name, {.join = {{.type = type, .path = "/run/ns"}}}).settings.size() == 1);
}

TEST_CASE("what is the whole machine's is refused with every namespace private", "[sysctl]") {
  const std::string name = GENERATE("kernel.core_pattern", "kernel.panic", "vm.overcommit_memory",
                                    "fs.file-max", "kernel.msgmax.x", "kernel", "net", "fs.mqueue");
  CHECK(refusal(name, kAll) == "sysctl \"" + name + "\" is not in a separate kernel namespace");
}

TEST_CASE("a name cannot lead anywhere but down", "[sysctl]") {
  const std::string name =
      GENERATE("", ".", "/", "net..core", "net.", "net./", "/net/core",
               "net/../kernel/core_pattern", "net/core/..", "net.//.kernel", "net.core.somaxconn\n",
               "net.core.so maxconn", "net.core.somaxconn ", "net.x+kernel.core_pattern",
               "net.\xc3\xa9", "net/./core", "net.core*");
  CHECK(refusal(name, kAll) == "invalid sysctl name \"" + name + "\"");
}

TEST_CASE("the hostname has a field of its own", "[sysctl]") {
  CHECK(
      refusal("kernel.hostname", kAll) ==
      "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI \"hostname\" field");
  CHECK(refusal("kernel.hostname", {}) ==
        "sysctl \"kernel.hostname\" is not in a separate kernel namespace");
}

TEST_CASE("one parameter by two names is refused", "[sysctl]") {
  const Spec spec =
      read_text(R"({"linux": {"sysctl": {"net.core.somaxconn": "1", "net/core/somaxconn": "2"}}})");
  CHECK_THROWS_WITH(plan(spec, kAll, false), "sysctl \"net/core/somaxconn\" is set twice");
}

TEST_CASE("a network namespace by path that is our own is the host's", "[sysctl]") {
  std::vector<namespaces::Target> joined;
  joined.push_back({Type::network, sys::open_at(sys::FdRef::cwd(), "/proc/self/ns/net", O_RDONLY)});
  const Plan net = plan_one("net.core.somaxconn", with({Type::network}));
  CHECK_THROWS_WITH(check_in_parent(net, joined),
                    "sysctl \"net.core.somaxconn\" not allowed in host network namespace");
  CHECK_NOTHROW(check_in_parent(plan_one("kernel.sem", kAll), joined));
  CHECK_NOTHROW(check_in_parent(net, {}));
}

TEST_CASE("each sysctl is explained in dots, with its field", "[sysctl]") {
  Explain effects;
  explain(plan_one("net/ipv4/ip_forward", kAll), effects);
  REQUIRE(effects.effects().size() == 1);
  CHECK(effects.effects()[0].text == "set net.ipv4.ip_forward to \"1\"");
  CHECK(effects.effects()[0].field == "/linux/sysctl/x");
}

}  // namespace
}  // namespace tare::sysctl
