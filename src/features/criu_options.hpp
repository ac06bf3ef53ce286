/// checkpoint and restore: what criu(8) must be told of a container besides its processes. A mount,
/// namespace or pipe that comes from outside is not in the images: it gets a name there, by which a
/// restore puts its own in the same place. The names are the ones that runc and crun use, so that
/// an image made by one can be restored by another. Used by the parent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "features/criu_message.hpp"
#include "features/devices.hpp"
#include "features/masked_paths.hpp"
#include "features/mounts.hpp"
#include "features/namespaces.hpp"
#include "tare/record.hpp"

namespace tare::criu_options {

/// In the image directory: where the container's first three streams led, as a JSON list.
inline constexpr char kDescriptorsFile[] = "descriptors.json";

/// The annotation that names a container's own file of settings for criu, and the files that hold
/// for all.
inline constexpr std::string_view kConfigAnnotation = "org.criu.config";
inline constexpr char kOwnConfigFile[] = "/etc/criu/tare.conf";
inline constexpr char kRuncConfigFile[] = "/etc/criu/runc.conf";

/// The value of --manage-cgroups-mode; empty is criu's default. Throws Error(usage).
criu::CgroupMode read_cgroup_mode(std::string_view word);
/// The value of --network-lock; empty is criu's default. Throws Error(usage).
criu::NetworkLock read_network_lock(std::string_view word);
/// The value of --page-server, ADDRESS:PORT, IPv6 in brackets. Throws Error(usage) in runc's words.
std::pair<std::string, int> read_page_server(std::string_view value);
/// CLONE_NEW* bits for the values of --empty-ns; the network always is one of them: its devices are
/// the caller's to set up. Throws Error(usage) for any other.
std::uint32_t read_empty_namespaces(const std::vector<std::string>& names);

/// The file of settings that overrules ours: the one that the annotation org.criu.config names,
/// none where it is empty, or /etc/criu/tare.conf, or runc's where that is absent.
std::string config_file(const std::map<std::string, std::string>& annotations, bool has_own_file);

/// What of the Plan leads outside of the container, for the intent: a checkpoint must know it when
/// config.json may be gone. Pure; the pipes are left empty.
Outside plan(const mounts::Plan& mounts, const devices::Plan& devices,
             const masked_paths::Plan& masked, const namespaces::Plan& namespaces);

/// The pipes that our own first three streams are, as procfs names them; empty for one that is
/// none. Throws Error(system).
std::vector<std::string> own_pipes();

/// For a dump: the mounts from outside that the container of process `pid` has, each with its name.
/// Destinations are resolved in its root. Throws Error(system).
std::vector<std::pair<std::string, std::string>> find_external_mounts(const Outside& outside,
                                                                      pid_t pid);
/// For a dump: the namespaces that are joined by path. Throws Error(system).
std::vector<std::string> find_external_namespaces(const Outside& outside, pid_t pid);
/// The name of a joined namespace that criu takes over by descriptor; empty for the other types.
std::string_view external_name(namespaces::Type type) noexcept;
/// What criu calls a type: "net"; empty for one that it cannot join.
std::string_view criu_name(namespaces::Type type) noexcept;

/// For a dump: where the first three streams of process `pid` lead if that is outside, by criu's
/// names: a pipe that they were given, or a file of the host that they hold now. Throws
/// Error(system).
std::vector<std::string> find_external_streams(const Outside& outside, pid_t pid);
/// Whether such a name is that of a file, which criu must be told of at a dump too.
bool is_file(std::string_view stream) noexcept;
/// "file[1c:2a]" for a text like that of /proc/PID/fdinfo/N, if its mount is none of those in a
/// text like that of /proc/PID/mountinfo; else empty. Pure.
std::string external_file(std::string_view fdinfo, std::string_view mountinfo, ino_t inode);

/// The text of kDescriptorsFile.
std::string descriptors_text(const std::vector<std::string>& streams);
/// The streams in such a text that lead outside, each with the descriptor in whose place it stood.
/// Throws Error(state) for a damaged one.
std::vector<std::pair<std::string, int>> read_descriptors(std::string_view text);

}  // namespace tare::criu_options
