#include "features/keyring.hpp"

#include <cerrno>

#include "sys/credentials.hpp"
#include "tare/error.hpp"

namespace tare::keyring {

void apply(const Plan& plan) {
  if (!plan.new_session) return;
  try {
    sys::join_new_session_keyring();
  } catch (Error& error) {
    // Each session keyring counts against its user's quota (keyrings(7), /proc/key-users), and
    // ENOSYS or EPERM come from a kernel, or a seccomp filter around us, that has no keyrings.
    error.set_hint(error.errno_value() == EDQUOT
                       ? "raise kernel.keys.maxkeys, or give --no-new-keyring"
                       : "give --no-new-keyring to go without a session keyring of its own");
    throw;
  }
}

void explain(const Plan& plan, Explain& out) {
  out.add("keyring", plan.new_session ? "join a new anonymous session keyring"
                                      : "keep the caller's session keyring (--no-new-keyring)");
}

}  // namespace tare::keyring
