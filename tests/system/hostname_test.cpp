#include "features/hostname.hpp"

#include <sched.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

#include "../scratch.hpp"
#include "sandbox.hpp"

namespace tare {
namespace {

std::string names() {
  std::array<char, 65> host{};
  std::array<char, 65> domain{};
  ::gethostname(host.data(), host.size());
  ::getdomainname(domain.data(), domain.size());
  return std::string(host.data()) + " " + domain.data();
}

}  // namespace

TEST_CASE("hostname: both names are set in the namespace, and the host keeps its own") {
  if (test::skip_unless_root()) return;
  const std::string before = names();
  const std::string longest(64, 'h');
  CHECK(test::in_child(CLONE_NEWUTS, [&] {
          hostname::apply_in_init({.host = longest, .domain = "example"});
          return names();
        }) == longest + " example");
  CHECK(names() == before);
}

TEST_CASE("hostname: names that are not asked for are left as they are") {
  if (test::skip_unless_root()) return;
  const std::string before = names();
  CHECK(test::in_child(CLONE_NEWUTS, [] {
          hostname::apply_in_init({});
          return names();
        }) == before);
}

TEST_CASE("hostname: a name that the kernel refuses names the call and the field") {
  if (test::skip_unless_root()) return;
  CHECK(test::in_child(CLONE_NEWUTS, [] {
          try {
            hostname::apply_in_init({.domain = std::string(65, 'd')});
          } catch (const Error& error) {
            return error.message().substr(0, 14) + error.field();
          }
          return std::string("set");
        }) == "setdomainname /domainname");
}

}  // namespace tare
