#include "features/keyring.hpp"

#include <fmt/core.h>

#include <cerrno>

#include "sys/credentials.hpp"
#include "tare/error.hpp"

namespace tare::keyring {
namespace {

// What the kernel gives a new session keyring (join_session_keyring, security/keys/process_keys.c):
// all to its possessor; view, read and link to its owner.
constexpr unsigned kUsual = 0x3f130000;
constexpr unsigned kSearchByOwner = 0x00080000;   // KEY_USR_SEARCH of linux/key.h
constexpr unsigned kSearchByOthers = 0x00000008;  // KEY_OTH_SEARCH

void join(const Plan& plan) {
  const int serial = sys::join_session_keyring(plan.name);
  if (plan.permissions != 0) sys::set_key_permissions(serial, plan.permissions);
}

}  // namespace

Plan plan(const Wish& wish) {
  if (wish.keep) return {.new_session = false};
  return {.name = fmt::format("_ses.{}", wish.id),
          .permissions = kUsual | (wish.user_namespace ? kSearchByOthers : kSearchByOwner)};
}

void apply(const Plan& plan) {
  if (!plan.new_session) return;
  try {
    in_context([] { return "unable to join session keyring"; }, [&] { join(plan); });
  } catch (Error& error) {
    // A kernel that was built without keyrings has none of the caller's either.
    if (error.errno_value() == ENOSYS) return;
    // Each session keyring counts against its user's quota (keyrings(7), /proc/key-users), and
    // EPERM comes from a seccomp filter around us.
    error.set_hint(error.errno_value() == EDQUOT
                       ? "raise kernel.keys.maxkeys, or give --no-new-keyring"
                       : "give --no-new-keyring to go without a session keyring of its own");
    throw;
  }
}

void explain(const Plan& plan, Explain& out) {
  out.add("keyring", plan.new_session ? fmt::format("join a session keyring named {}", plan.name)
                                      : "keep the caller's session keyring (--no-new-keyring)");
}

}  // namespace tare::keyring
