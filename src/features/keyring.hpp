/// A session keyring of the container's own, so that it sees none of the caller's keys;
/// --no-new-keyring leaves the caller's (session-keyring(7)). It is named after the container, as
/// with runc, so that exec can join it. Joined by init or by exec's process, in the container's
/// user namespace, which is where the kernel looks a name up.
#pragma once

#include <string>
#include <string_view>

#include "features/explain.hpp"

namespace tare::keyring {

struct Plan {
  bool new_session = true;
  std::string name{};        ///< "_ses.ID"
  unsigned permissions = 0;  ///< KEY_* bits that the keyring gets; 0: it is left as it is
  bool operator==(const Plan&) const = default;
};

/// What the keyring is joined by.
struct Wish {
  bool keep = false;  ///< --no-new-keyring
  std::string_view id{};
  bool user_namespace = false;
};

/// The keyring is made searchable for exec: for the owner or, in a user namespace, for all in it.
Plan plan(const Wish& wish);
/// keyctl(KEYCTL_JOIN_SESSION_KEYRING). A kernel without keyrings (ENOSYS) has none to hide; any
/// other refusal, as by the user's quota (EDQUOT), is an Error(system) "unable to join session
/// keyring: ..." whose hint names --no-new-keyring.
void apply(const Plan& plan);
/// Tells of either choice.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::keyring
