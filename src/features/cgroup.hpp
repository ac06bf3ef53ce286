/// linux.cgroupsPath: which cgroup v2 directory is the container's (config-linux.md, "Control
/// groups"). Made by the parent before init exists, which is cloned into it; killed, awaited and
/// removed at delete (cgroup_lifecycle.cpp). With the systemd driver, systemd makes it
/// (cgroup_systemd).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "features/explain.hpp"
#include "features/systemd_unit.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::cgroup {

struct Spec {
  std::string path{};  ///< as written; empty where absent
};

struct Options {
  std::string id{};
  bool disabled = false;           ///< --cgroup-manager disabled: stay in the caller's cgroup
  bool systemd = false;            ///< --systemd-cgroup: cgroupsPath names a scope
  std::optional<bool> rootless{};  ///< --rootless; nullopt goes by who the caller is
};

struct Plan {
  std::string mount_point{};  ///< "/sys/fs/cgroup"
  std::string path{};         ///< "/a/b" below it; empty when cgroups are disabled
  systemd_unit::Unit unit{};  ///< the scope whose cgroup it is; no name with the cgroupfs driver
  /// Rootless, and the config names no cgroup: the container stays in the caller's where the host
  /// has delegated none.
  bool optional = false;
  bool operator==(const Plan&) const = default;
  bool enabled() const noexcept { return !path.empty(); }
  /// The directory on the host.
  std::string directory() const { return mount_point + path; }
};

/// Reads from the object `linux`. Throws Error(spec).
Spec read(const spec::Reader& linux_object);
/// Throws Error(spec) for a path that names the tree itself or no scope of systemd's,
/// Error(unsupported) without cgroup v2. `..` is taken by its text and never leaves the tree.
Plan plan(const Spec& spec, const Options& options, const Host& host);

/// A cgroup that was made or taken over.
struct Created {
  /// O_RDONLY|O_DIRECTORY: for clone3 and for BPF. Empty where the plan is disabled, or optional
  /// and not permitted: the container then stays in the caller's cgroup.
  sys::Fd directory{};
  std::vector<std::string> made{};  ///< directories made on the way, outermost first, to undo
};

/// Makes the directory and its parents; what it has made is gone again if it throws. One that
/// exists must hold no process ("container's cgroup is not empty: N process(es) found") and not be
/// frozen
/// ("container's cgroup unexpectedly frozen"). Throws Error(state or system).
Created apply_in_parent(const Plan& plan);
/// Opens the cgroup that systemd has made for the plan's scope. Throws Error(system).
sys::Fd open_in_parent(const Plan& plan);
/// Removes directories that apply_in_parent has made, innermost first, as far as they are unused.
void remove_made(const std::vector<std::string>& made) noexcept;

/// How long what has been killed may take to leave before remove() gives up, in milliseconds.
inline constexpr int kRemoveTimeoutMs = 2000;

/// The processes in the cgroup at `directory` and below it, sorted; those of other pid namespaces
/// have no number here and are left out. Throws Error(system).
std::vector<int> processes(const std::string& directory);
/// Kills everything in the cgroup and below (cgroup.kill), frozen or not. Nothing when it is gone.
/// Throws Error(system).
void kill_all(const std::string& directory);
/// Waits, by poll on cgroup.events, until nothing is left in it; false after `timeout_ms`.
bool await_empty(const std::string& directory, int timeout_ms);
/// Removes the cgroup and those below it, waiting for processes that are on their way out; true
/// when it is gone, false when something still holds it after `timeout_ms`. Throws Error(system).
bool remove(const std::string& directory, int timeout_ms = kRemoveTimeoutMs);
/// cgroup.freeze, and waits by cgroup.events until it is so; Error(system) after `timeout_ms`, and
/// what was half frozen is let go again.
void set_frozen(const std::string& directory, bool frozen, int timeout_ms);
/// Whether everything in the cgroup is frozen, by itself or by one above; false when it is gone.
bool is_frozen(const std::string& directory);

/// One effect: which cgroup, or why none.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::cgroup
