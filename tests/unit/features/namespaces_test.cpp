#include "features/namespaces.hpp"

#include <linux/sched.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "sys/file.hpp"

namespace tare::namespaces {
namespace {

Spec read_text(const std::string& namespaces) {
  const spec::Document document("config.json", R"({"namespaces": )" + namespaces + "}");
  return read(document.top());
}

std::string read_error(const std::string& namespaces) {
  try {
    read_text(namespaces);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    return error.message();
  }
  return "nothing was wrong";
}

Plan plan_text(const std::string& namespaces, const Host& host = {}) {
  return plan(read_text(namespaces), host);
}

std::vector<Type> order(const Plan& plan) {
  std::vector<Type> types;
  for (const Entry& entry : plan.join) types.push_back(entry.type);
  return types;
}

constexpr const char* kAllByPath = R"([
  {"type": "user", "path": "/n/user"}, {"type": "mount", "path": "/n/mnt"},
  {"type": "pid", "path": "/n/pid"}, {"type": "network", "path": "/n/net"},
  {"type": "ipc", "path": "/n/ipc"}, {"type": "uts", "path": "/n/uts"},
  {"type": "cgroup", "path": "/n/cgroup"}, {"type": "time", "path": "/n/time"}])";

TEST_CASE("every type of the specification becomes its clone flag", "[namespaces]") {
  const std::pair<const char*, std::uint64_t> types[] = {
      {"user", CLONE_NEWUSER},     {"mount", CLONE_NEWNS},  {"pid", CLONE_NEWPID},
      {"network", CLONE_NEWNET},   {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},
      {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},
  };
  for (const auto& [name, flag] : types) {
    CAPTURE(name);
    const Plan plan = plan_text(std::string(R"([{"type": ")") + name + R"("}])");
    CHECK(plan == Plan{.create = flag});
    CHECK(plan.all() == flag);
  }
}

TEST_CASE("no list, null and an empty list are no namespaces", "[namespaces]") {
  const spec::Document nothing("config.json", "{}");
  CHECK(plan(read(nothing.top()), {}) == Plan{});
  CHECK(plan_text("null") == Plan{});
  CHECK(plan_text("[]") == Plan{});
}

TEST_CASE("an empty path is a new namespace", "[namespaces]") {
  CHECK(plan_text(R"([{"type": "ipc", "path": ""}])") == Plan{.create = CLONE_NEWIPC});
}

TEST_CASE("bad entries are refused with their place", "[namespaces]") {
  CHECK(read_error(R"([{"type": "net"}])") ==
        "config.json /namespaces/0/type: unknown namespace type \"net\"");
  CHECK(read_error(R"([{"path": "/x"}])") ==
        "config.json /namespaces/0/type: required, but missing");
  CHECK(read_error(R"([{"type": "pid"}, {"type": "ipc", "path": "ns/ipc"}])") ==
        "config.json /namespaces/1/path: the path of a namespace must be absolute: \"ns/ipc\"");
  CHECK(read_error(R"({"type": "pid"})").find("expected an array") != std::string::npos);
  CHECK(read_error(R"([{"type": "pid", "path": "/a\u0000b"}])").find("NUL") != std::string::npos);
}

TEST_CASE("a type may be there once, with or without a path", "[namespaces]") {
  CHECK(read_error(R"([{"type": "mount"}, {"type": "mount", "path": "/x"}])") ==
        "config.json /namespaces/1: malformed spec file: duplicated ns \"mount\"");
}

TEST_CASE("the plan keeps which field asked for a path", "[namespaces]") {
  const Plan plan = plan_text(R"([{"type": "pid"}, {"type": "network", "path": "/n/net"}])");
  CHECK(plan ==
        Plan{.create = CLONE_NEWPID,
             .join = {{.type = Type::network, .path = "/n/net", .pointer = "/namespaces/1"}}});
  CHECK(plan.creates(Type::pid));
  CHECK_FALSE(plan.creates(Type::network));
  CHECK(plan.joins(Type::network));
  CHECK(plan.has(Type::network));
  CHECK_FALSE(plan.has(Type::user));
  CHECK(plan.all() == (CLONE_NEWPID | CLONE_NEWNET));
}

TEST_CASE(
    "root joins the user namespace last, a plain user first, the mount namespace after others",
    "[namespaces]") {
  const std::vector<Type> others = {Type::ipc,    Type::uts,  Type::network, Type::pid,
                                    Type::cgroup, Type::time, Type::mount};
  std::vector<Type> user_last = others;
  user_last.push_back(Type::user);
  std::vector<Type> user_first = others;
  user_first.insert(user_first.begin(), Type::user);
  CHECK(order(plan_text(kAllByPath, {.euid = 0})) == user_last);
  CHECK(order(plan_text(kAllByPath, {.euid = 0, .rootless = true})) == user_last);
  CHECK(order(plan_text(kAllByPath, {.euid = 1000, .rootless = true})) == user_first);
}

TEST_CASE("a joiner is there exactly where a join reaches only children", "[namespaces]") {
  CHECK_FALSE(plan_text("[]").needs_joiner());
  CHECK_FALSE(plan_text(R"([{"type": "user"}, {"type": "pid"}])").needs_joiner());
  CHECK_FALSE(plan_text(R"([{"type": "network", "path": "/n"}, {"type": "pid"}])").needs_joiner());
  CHECK(plan_text(R"([{"type": "pid", "path": "/n"}])").needs_joiner());
  CHECK(plan_text(R"([{"type": "user", "path": "/n"}])").needs_joiner());
  CHECK(plan_text(R"([{"type": "network", "path": "/n"}, {"type": "user"}])").needs_joiner());
}

// What open_in_parent says of a path that is to be a namespace of the type.
std::string open_error(Type type, const std::string& path) {
  Plan plan;
  plan.join = {{.type = type, .path = path, .pointer = "/linux/namespaces/0"}};
  try {
    open_in_parent(plan);
  } catch (const Error& error) {
    CHECK(error.field() == "/linux/namespaces/0/path");
    return error.message();
  }
  return "it was opened";
}

TEST_CASE("what is no namespace file is refused and never opened", "[namespaces]") {
  for (const char* path : {"/dev/zero", "/dev/null", "/proc/self/status", "/", "/bin/sh"}) {
    CHECK(open_error(Type::network, path) == "\"" + std::string(path) + "\" is no namespace file");
  }
  CHECK(open_error(Type::network, "/no/such/file") ==
        "open /no/such/file: no such file or directory");
}

TEST_CASE("a FIFO in place of a namespace does not block", "[namespaces]") {
  char directory[] = "/tmp/tare-namespaces-XXXXXX";
  REQUIRE(::mkdtemp(directory) != nullptr);
  const std::string path = std::string(directory) + "/fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(open_error(Type::network, path) == "\"" + path + "\" is no namespace file");
  sys::remove_file(sys::FdRef::cwd(), path);
  sys::remove_directory(sys::FdRef::cwd(), directory);
}

TEST_CASE("a namespace of another type is refused by both names", "[namespaces]") {
  CHECK(open_error(Type::network, "/proc/self/ns/uts") ==
        "\"/proc/self/ns/uts\" is a namespace of type uts, not network");
}

TEST_CASE(
    "our own namespaces are opened like others, but for the user namespace, which is left out",
    "[namespaces]") {
  Plan plan;
  plan.join = {{.type = Type::ipc, .path = "/proc/self/ns/ipc", .pointer = "/x"},
               {.type = Type::user, .path = "/proc/self/ns/user", .pointer = "/y"}};
  const std::vector<Target> targets = open_in_parent(plan);
  REQUIRE(targets.size() == 1);
  CHECK(targets[0].type == Type::ipc);
}

TEST_CASE("every namespace is explained, with its field where a path asked", "[namespaces]") {
  Explain out;
  explain(plan_text(R"([{"type": "network"}, {"type": "pid", "path": "/n/pid"}])"), out);
  REQUIRE(out.effects().size() == 4);
  CHECK(out.effects()[0].text == "a new network namespace");
  CHECK(out.effects()[1].text == "join the pid namespace /n/pid");
  CHECK(out.effects()[1].field == "/namespaces/1");
  CHECK(out.effects()[2].text == "bring up lo in the new network namespace");
}

}  // namespace
}  // namespace tare::namespaces
