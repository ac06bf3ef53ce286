/// $NOTIFY_SOCKET of the caller (sd_notify(3)), as runc has it: the container gets a socket of its
/// own, bound on /run/notify from a directory of its state, and what comes there is passed on by
/// stages/notify. Nothing where the caller has none.
#pragma once

#include <string>

#include "features/environment.hpp"
#include "features/explain.hpp"
#include "features/mounts.hpp"
#include "features/namespaces.hpp"

namespace tare::notify_socket {

inline constexpr char kDirectory[] = "notify";  ///< in the container's state directory
inline constexpr char kName[] = "notify.sock";

struct Plan {
  std::string directory{};  ///< absolute, on the host; empty: there is no socket
  bool operator==(const Plan&) const = default;
};

/// Without a mount namespace nothing can be bound for the container alone, and there is none.
Plan plan(const std::string& directory, const namespaces::Plan& namespaces);
/// Adds the mount and the variable NOTIFY_SOCKET that the container sees of it.
void add_to(const Plan& plan, mounts::Spec& mounts, environment::Spec& environment);
/// Tells of it only where there is one.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::notify_socket
