#include "features/keyring.hpp"

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "sys/process.hpp"

namespace tare::keyring {
namespace {

long session() {
  return ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
}

long add_key(const char* name) {
  return ::syscall(SYS_add_key, "user", name, "secret", 6, KEY_SPEC_SESSION_KEYRING);
}

bool finds_key(const char* name) {
  return ::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0) >= 0;
}

// The description of the session keyring: "keyring;UID;GID;PERM;NAME".
std::string description() {
  char text[256] = {};
  ::syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof text - 1);
  return text;
}

// Runs in a child with a session keyring of its own, so that no key of a test stays anywhere.
int in_child(int (*body)()) {
  const sys::Child child = sys::spawn({}, [&] {
    ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
    return body();
  });
  return sys::wait_for(child.pidfd).code;
}

bool has_keyrings() {
  return in_child([] { return session() > 0 && add_key("tare-probe") > 0 ? 0 : 1; }) == 0;
}

TEST_CASE("a new session keyring sees none of the caller's keys", "[keyring]") {
  if (!has_keyrings()) {
    WARN("skipped: this kernel gives no keyrings");
    return;
  }
  CHECK(in_child([] {
          const long before = session();
          add_key("tare-test");
          if (!finds_key("tare-test")) return 2;
          apply({});
          return session() != before && !finds_key("tare-test") ? 0 : 1;
        }) == 0);
}

TEST_CASE("a session keyring has the name that exec joins it by", "[keyring]") {
  if (!has_keyrings()) {
    WARN("skipped: this kernel gives no keyrings");
    return;
  }
  CHECK(in_child([] {
          const Plan own = plan({.id = "tare-keyring-test"});
          apply(own);
          if (!description().ends_with(";3f1b0000;_ses.tare-keyring-test")) return 2;
          const long made = session();
          const sys::Child other = sys::spawn({}, [&] {
            ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
            apply({.name = own.name});
            return session() == made ? 0 : 1;
          });
          return sys::wait_for(other.pidfd).code;
        }) == 0);
}

TEST_CASE("the keyring's name and rights are planned", "[keyring]") {
  CHECK(plan({.id = "web"}) == Plan{.name = "_ses.web", .permissions = 0x3f1b0000});
  CHECK(plan({.id = "web", .user_namespace = true}) ==
        Plan{.name = "_ses.web", .permissions = 0x3f130008});
  CHECK(plan({.keep = true, .id = "web"}) == Plan{.new_session = false});
}

TEST_CASE("with --no-new-keyring the caller's keys stay in sight", "[keyring]") {
  if (!has_keyrings()) {
    WARN("skipped: this kernel gives no keyrings");
    return;
  }
  CHECK(in_child([] {
          add_key("tare-test");
          apply({.new_session = false});
          return finds_key("tare-test") ? 0 : 1;
        }) == 0);
}

TEST_CASE("either choice of keyring is explained", "[keyring]") {
  Explain out;
  explain({.name = "_ses.web"}, out);
  explain({.new_session = false}, out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text == "join a session keyring named _ses.web");
  CHECK(out.effects()[1].text == "keep the caller's session keyring (--no-new-keyring)");
}

}  // namespace
}  // namespace tare::keyring
