#include "features/selinux.hpp"

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "sys/file.hpp"

namespace tare::selinux {
namespace {

constexpr char kContainer[] = "system_u:system_r:container_t:s0:c1,c2";
constexpr char kFile[] = "system_u:object_r:container_file_t:s0:c1,c2";

const Host kWith{.selinux = true};
const Host kWithout{};

Spec read_text(const std::string& process) {
  const spec::Document document("config.json", process);
  return read(document.top());
}

MountSpec read_mount_text(const std::string& linux_object,
                          const std::map<std::string, std::string>& annotations = {}) {
  const spec::Document document("config.json", linux_object);
  return read_mount(document.top(), annotations);
}

std::string with(const char* name, const std::string& value) {
  return std::string("{\"") + name + "\": \"" + value + "\"}";
}

TEST_CASE("labels are planned where there is SELinux", "[selinux]") {
  CHECK(plan(read_text(with("selinuxLabel", kContainer)), kWith) == Plan{.label = kContainer});
  CHECK(plan_mount(read_mount_text(with("mountLabel", kFile)), kWith) ==
        MountPlan{.label = kFile, .type = "context"});
  CHECK(plan_mount(read_mount_text(with("mountLabel", kFile),
                                   {{"run.oci.mount_context_type", "rootcontext"}}),
                   kWith) == MountPlan{.label = kFile, .type = "rootcontext"});
}

TEST_CASE("labels are refused where there is no SELinux, and no labels are not", "[selinux]") {
  try {
    plan(read_text(with("selinuxLabel", kContainer)), kWithout);
    FAIL("planned");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.field() == "/process/selinuxLabel");
    CHECK(error.message() ==
          "selinux label is specified in config, but selinux is disabled or not supported");
  }
  try {
    plan_mount(read_mount_text(with("mountLabel", kFile)), kWithout);
    FAIL("planned");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.field() == "/linux/mountLabel");
  }
  CHECK(plan(read_text("{}"), kWithout) == Plan{});
  CHECK(plan(read_text(with("selinuxLabel", "")), kWithout) == Plan{});
  CHECK(plan_mount(read_mount_text("{}"), kWithout) == MountPlan{});
}

TEST_CASE("what is no context is refused", "[selinux]") {
  for (const std::string& value :
       {std::string("1"), std::string("\"a\\u0000b\""), std::string("\"a\\nb\""),
        std::string("\"a\\\",uid=0\""), '"' + std::string(4001, 'a') + '"'}) {
    INFO(value);
    CHECK_THROWS_AS(read_text("{\"selinuxLabel\": " + value + "}"), Error);
    CHECK_THROWS_AS(read_mount_text("{\"mountLabel\": " + value + "}"), Error);
  }
}

TEST_CASE("a context type is one of mount(8)'s", "[selinux]") {
  for (const char* type : {"context", "fscontext", "defcontext", "rootcontext"}) {
    CHECK(read_mount_text("{}", {{"run.oci.mount_context_type", type}}).type == type);
  }
  for (const char* type : {"", "uid", "context=x"}) {
    try {
      read_mount_text("{}", {{"run.oci.mount_context_type", type}});
      FAIL("taken: " << type);
    } catch (const Error& error) {
      CHECK(error.field() == "/annotations/run.oci.mount_context_type");
    }
  }
}

TEST_CASE("labels are asked for each in its own file", "[selinux]") {
  const test::Scratch procfs;
  sys::make_directory(procfs.fd(), "t", 0755);
  sys::make_directory(procfs.fd(), "t/attr", 0755);
  sys::make_symlink("t", procfs.fd(), "thread-self");
  procfs.write("t/attr/exec", "");
  // A kernel that labels no keys.
  apply_to_keyring({.label = kContainer}, procfs.fd());
  CHECK(sys::read_file(procfs.fd(), "t/attr/exec").empty());
  procfs.write("t/attr/keycreate", "");
  apply_to_keyring({.label = kContainer}, procfs.fd());
  CHECK(sys::read_file(procfs.fd(), "t/attr/keycreate") == kContainer);
  apply({}, procfs.fd());
  CHECK(sys::read_file(procfs.fd(), "t/attr/exec").empty());
  apply({.label = kContainer}, procfs.fd());
  CHECK(sys::read_file(procfs.fd(), "t/attr/exec") == kContainer);
  sys::remove_file(procfs.fd(), "t/attr/exec");
  CHECK_THROWS_WITH(apply({.label = kContainer}, procfs.fd()),
                    Catch::StartsWith("can't set process label: "));
}

TEST_CASE("labels are explained where there are some", "[selinux]") {
  Explain out;
  explain(Plan{}, out);
  explain(MountPlan{}, out);
  CHECK(out.effects().empty());
  explain(Plan{.label = "l"}, out);
  explain(MountPlan{.label = "m", .type = "fscontext"}, out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text == "execute with the SELinux label l");
  CHECK(out.effects()[1].text == "make filesystems with fscontext=m");
}

}  // namespace
}  // namespace tare::selinux
