/// process.user: uid, gid, additionalGids, umask (config.md, "User"). Set in init or in exec's
/// process, last but for capabilities.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "features/explain.hpp"
#include "features/id_map.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"

namespace tare::credentials {

struct Spec {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids{};
  std::optional<mode_t> umask{};
  bool keep_groups = false;  ///< run.oci.keep_original_groups
};

struct Plan {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids{};
  mode_t umask = 0022;     ///< the specification leaves the default open; runc's is 0022
  bool set_groups = true;  ///< false where the kernel forbids setgroups (rootless without helpers)
  bool keep_groups = false;           ///< false set_groups is a wish: the caller's groups stay
  bool groups_may_be_denied = false;  ///< by who made a user namespace that we are in or join
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `process`. Ids of 2^32 - 1, which setresuid takes for "unchanged", are
/// refused. Throws Error(spec).
Spec read(const spec::Reader& process);
/// Whether crun's annotation run.oci.keep_original_groups, anything but "0", is there: the groups
/// of the runtime's caller stay, and additionalGids is left out.
bool keeps_groups(const std::map<std::string, std::string>& annotations);
/// Throws Error(spec) for an id that the user namespace does not map, and for additional groups
/// where they cannot be set ("cannot set any additional groups in a rootless container").
Plan plan(const Spec& spec, const id_map::Plan& id_map, bool new_user_namespace, const Host& host);
/// As plan does, for maps that are known only later: those of a joined user namespace. Throws
/// Error(spec).
void check_ids(const Plan& plan, const id_map::Plan& id_map);
/// setgroups, setresgid, setresuid, umask, in this order. Capabilities survive if KEEPCAPS is on.
void apply(const Plan& plan);
/// Tells of groups, ids and umask.
void explain(const Plan& plan, Explain& out);

/// What exec --user asks for.
struct User {
  uid_t uid = 0;
  std::optional<gid_t> gid{};
};
/// Reads "UID[:GID]". Throws Error(usage) for anything but whole decimal numbers (CVE-2026-30892).
User parse_user(const std::string& text);

}  // namespace tare::credentials
