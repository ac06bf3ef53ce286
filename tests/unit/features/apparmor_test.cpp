#include "features/apparmor.hpp"

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "sys/file.hpp"

namespace tare::apparmor {
namespace {

Spec read_text(const std::string& process) {
  const spec::Document document("config.json", process);
  return read(document.top());
}

const Host kWith{.apparmor = true};
const Host kWithout{};

TEST_CASE("a profile is planned where there is AppArmor", "[apparmor]") {
  const Spec spec = read_text(R"({"apparmorProfile": "docker-default"})");
  CHECK(plan(spec, kWith) == Plan{.profile = "docker-default"});
  CHECK(plan(read_text(R"({"apparmorProfile": "unconfined"})"), kWith) ==
        Plan{.profile = "unconfined"});
}

TEST_CASE("a profile is refused where there is no AppArmor, and no profile is not", "[apparmor]") {
  try {
    plan(read_text(R"({"apparmorProfile": "docker-default"})"), kWithout);
    FAIL("planned");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.field() == "/process/apparmorProfile");
    CHECK(error.message() ==
          "apparmor failed to apply profile: \"docker-default\" is asked for, and apparmor is not "
          "enabled on this machine");
  }
  for (const char* nothing :
       {"{}", R"({"apparmorProfile": ""})", R"({"apparmorProfile": "unconfined"})"}) {
    CHECK(plan(read_text(nothing), kWithout) == Plan{});
  }
}

TEST_CASE("what no profile can be called is refused", "[apparmor]") {
  const std::string long_name(4001, 'a');
  for (const std::string& value :
       {std::string("1"), std::string("[\"a\"]"), std::string("\"a\\u0000b\""),
        std::string("\"a\\nb\""), '"' + long_name + '"'}) {
    try {
      read_text(R"({"apparmorProfile": )" + value + "}");
      FAIL("taken: " << value);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::spec);
      CHECK(error.field().ends_with("/apparmorProfile"));
    }
  }
}

class Attributes {
 public:
  explicit Attributes(bool own_directory) {
    for (const char* name : {"t", "t/attr", "t/attr/apparmor"}) {
      if (!own_directory && std::string(name).ends_with("apparmor")) continue;
      sys::make_directory(scratch_.fd(), name, 0755);
    }
    sys::make_symlink("t", scratch_.fd(), "thread-self");
    scratch_.write("t/attr/exec", "");
    if (own_directory) scratch_.write("t/attr/apparmor/exec", "");
  }
  sys::FdRef fd() const { return scratch_.fd(); }
  std::string text(const std::string& name) const { return sys::read_file(fd(), "t/attr/" + name); }

 private:
  test::Scratch scratch_{};
};

TEST_CASE("the change is asked for in the file of AppArmor's own where there is one",
          "[apparmor]") {
  const Attributes modern(true);
  apply({.profile = "web"}, modern.fd());
  CHECK(modern.text("apparmor/exec") == "exec web");
  CHECK(modern.text("exec").empty());
  const Attributes old(false);
  apply({.profile = "web"}, old.fd());
  CHECK(old.text("exec") == "exec web");
}

TEST_CASE("without a profile nothing is written", "[apparmor]") {
  const Attributes there(true);
  apply({}, there.fd());
  CHECK(there.text("apparmor/exec").empty());
}

TEST_CASE("a kernel without the file is an error, never no profile", "[apparmor]") {
  const test::Scratch empty;
  sys::make_symlink("t", empty.fd(), "thread-self");
  CHECK_THROWS_WITH(apply({.profile = "web"}, empty.fd()),
                    Catch::StartsWith("apparmor failed to apply profile: "));
}

TEST_CASE("a profile is explained where there is one", "[apparmor]") {
  Explain out;
  explain(Plan{}, out);
  CHECK(out.effects().empty());
  explain(Plan{.profile = "web"}, out);
  REQUIRE(out.effects().size() == 1);
  CHECK(out.effects()[0].text == "execute under the AppArmor profile web");
}

}  // namespace
}  // namespace tare::apparmor
