#include "features/hostname.hpp"

#include <catch2/catch.hpp>

namespace tare::hostname {
namespace {

Spec read_text(const std::string& text) {
  const spec::Document document("config.json", text);
  return read(document.top());
}

const namespaces::Plan kPrivate{.create = namespaces::clone_flag(namespaces::Type::uts)};

Error refusal(const Spec& spec, const namespaces::Plan& namespaces) {
  try {
    plan(spec, namespaces);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing was refused");
}

TEST_CASE("hostname and domainname are planned as they are written", "[hostname]") {
  const Spec spec = read_text(R"({"hostname": "web", "domainname": "example"})");
  CHECK(plan(spec, kPrivate) == Plan{.host = "web", .domain = "example"});
}

TEST_CASE("without names there is nothing to do, in any namespace", "[hostname]") {
  CHECK(plan(read_text(R"({"hostname": ""})"), {}) == Plan{});
  Explain effects;
  explain(Plan{}, effects);
  CHECK(effects.effects().empty());
}

TEST_CASE("a name that is no text is refused", "[hostname]") {
  CHECK_THROWS_WITH(read_text(R"({"hostname": 7})"),
                    Catch::Contains("/hostname: expected a string"));
}

TEST_CASE("the host's own name is never changed", "[hostname]") {
  const Error host = refusal({.host = "web"}, {});
  CHECK(host.message() == "unable to set hostname without a private UTS namespace");
  CHECK(host.field() == "/hostname");
  const Error domain = refusal({.domain = "example"}, {});
  CHECK(domain.message() == "unable to set domainname without a private UTS namespace");
  CHECK(domain.field() == "/domainname");
}

TEST_CASE("a namespace that is joined counts as a private one", "[hostname]") {
  const namespaces::Plan joined{.join = {{.type = namespaces::Type::uts, .path = "/run/uts"}}};
  CHECK(plan({.host = "web"}, joined) == Plan{.host = "web"});
}

TEST_CASE("a name may have 64 bytes and no more", "[hostname]") {
  CHECK(plan({.host = std::string(64, 'h')}, kPrivate).host.size() == 64);
  CHECK(refusal({.host = std::string(65, 'h')}, kPrivate).message() ==
        "hostname is longer than 64 bytes");
}

TEST_CASE("each name is explained with its field", "[hostname]") {
  Explain effects;
  explain({.host = "web", .domain = "example"}, effects);
  REQUIRE(effects.effects().size() == 2);
  CHECK(effects.effects()[0].text == "name the host \"web\"");
  CHECK(effects.effects()[0].field == "/hostname");
  CHECK(effects.effects()[1].field == "/domainname");
}

}  // namespace
}  // namespace tare::hostname
