/// What is done to a container that exists: each function acts on its Record. The functions of
/// tare/runtime.hpp that are named there are defined here as well.
#pragma once

#include <optional>
#include <string_view>

#include "features/all.hpp"
#include "state/store.hpp"
#include "sys/fd.hpp"
#include "tare/record.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// Where hooks of the runtime's namespaces run: in the caller's directory, as with runc. The bundle
/// may be gone by the time of poststop.
inline constexpr char kHookDirectory[] = ".";

/// The record; Error(state) "container does not exist" where a create was cut short.
Record read_record(const state::ContainerDirectory& directory);

/// A pidfd of the container's init, if it still lives.
std::optional<sys::Fd> find_init(const state::ContainerDirectory& directory, const Record& record);

/// Whether the container's cgroup is frozen.
bool is_paused(const Record& record);

/// Where the container is in its life, by what the kernel says now.
Status observe(const state::ContainerDirectory& directory, const Record& record);

/// Throws Error(unsupported) that names the command unless the container has a cgroup.
void require_cgroup(const Record& record, std::string_view command);

/// Runs the poststart hooks. Throws what the first one failed with.
void run_poststart(const state::ContainerDirectory& directory, const Record& record);

/// Ends whatever of the container lives, removes its cgroup, runs its poststop hooks and forgets
/// it. A poststop hook that fails is passed over, as runtime.md orders; so is a damaged intent with
/// `force`.
void destroy(const state::ContainerDirectory& directory, const std::optional<Record>& record,
             bool force = false);

/// A container that this process has made and stays with. Its directory stays open, so that it is
/// known again, and is free for others.
struct Attended {
  state::ContainerDirectory directory;
  Record record{};
  hooks::Plan hooks{};
};

/// Keeps what forget() needs, and lets others change the container.
Attended attend_later(state::ContainerDirectory directory, Record record, const Plan& plan);

/// Destroys the container that this process has attended to its end, unless somebody else did.
void forget(Attended& ours);

}  // namespace tare::stages
