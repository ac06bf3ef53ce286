/// A session keyring of the container's own, so that it sees none of the caller's keys;
/// --no-new-keyring leaves the caller's (session-keyring(7)). It is anonymous: a named one could be
/// joined by any other container of the same user.
#pragma once

#include "features/explain.hpp"

namespace tare::keyring {

struct Plan {
  bool new_session = true;
  bool operator==(const Plan&) const = default;
};

/// keyctl(KEYCTL_JOIN_SESSION_KEYRING). A kernel without keyrings (ENOSYS) or with none left
/// (EDQUOT) is an Error(system) that names --no-new-keyring.
void apply(const Plan& plan);
/// Tells of either choice.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::keyring
