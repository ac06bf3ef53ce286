/// linux.uidMappings and linux.gidMappings: who is who in a new user namespace (config-linux.md,
/// "User namespace mappings"). Written by the parent to /proc/PID/{uid_map,gid_map,setgroups} of
/// its own procfs while init waits; through newuidmap and newgidmap where the caller is not root.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "features/explain.hpp"
#include "features/namespaces.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"

namespace tare::id_map {

struct Mapping {
  std::uint32_t container_id = 0;
  std::uint32_t host_id = 0;
  std::uint32_t size = 0;
  bool operator==(const Mapping&) const = default;
};

struct Spec {
  std::vector<Mapping> uids{};
  std::vector<Mapping> gids{};
};

struct Plan {
  std::vector<Mapping> uids{};
  std::vector<Mapping> gids{};
  bool joined = false;           ///< of a user namespace that exists: compared, not written
  bool through_helpers = false;  ///< newuidmap and newgidmap write the maps
  bool deny_setgroups = false;   ///< the kernel demands it of a caller without CAP_SETGID
  bool operator==(const Plan&) const = default;
};

/// Throws Error(spec) for overlaps, size 0, ids that run over 2^32 - 2, and more than 340 lines.
Spec read(const spec::Reader& linux_object);
/// Throws Error(spec) for a new user namespace without mappings or without the container's root in
/// them, for mappings without one, and for no user namespace at all where the caller is not root.
Plan plan(const Spec& spec, const namespaces::Plan& namespaces, const Host& host);
/// The host's id for a container's id; nullopt where it is not mapped. Identity with no mappings.
std::optional<std::uint32_t> to_host(const std::vector<Mapping>& mappings,
                                     std::uint32_t id) noexcept;
/// The lines of the member `key` ("uidMappings"); none where it is absent. Throws Error(spec).
std::vector<Mapping> read_mappings(const spec::Reader& object, std::string_view key);
/// What is wrong with a mapping that comes after `earlier` ones; empty when nothing is.
std::string fault_of(const Mapping& mapping, const std::vector<Mapping>& earlier);
/// A map as the kernel reads and shows it, one mapping a line (user_namespaces(7)).
std::string to_text(const std::vector<Mapping>& mappings);
/// The inverse; what is no mapping is left out.
std::vector<Mapping> from_text(std::string_view text);
/// Writes both maps of process `pid`, whose user namespace is new. Throws Error(system).
void write_maps(pid_t pid, const std::vector<Mapping>& uids, const std::vector<Mapping>& gids);
/// Writes the maps of process `pid`. Throws Error(system or unsupported), in the words of newuidmap
/// and newgidmap where these refuse.
void apply_in_parent(const Plan& plan, pid_t pid);
/// The maps of the joined user namespace that process `pid` is in. Throws Error(spec) where they
/// are not the ones of the config, or do not map root, and Error(system).
Plan check_joined_in_parent(const Plan& plan, pid_t pid);
/// One effect for each map.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::id_map
