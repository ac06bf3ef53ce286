/// root.path, root.readonly and linux.rootfsPropagation: the tree that becomes "/" (config.md,
/// "Root"). Cloned by the parent, attached over its own path in init's mount namespace, where hooks
/// expect it, and made the root when all mounts are in place.
#pragma once

#include <cstdint>
#include <string>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"
#include "sys/path.hpp"

namespace tare::rootfs {

struct Spec {
  std::string path{};
  bool readonly = false;
  std::uint64_t propagation = 0;  ///< MS_* and MS_REC of linux.rootfsPropagation, 0 where absent
};

/// What of the command line has a say.
struct Options {
  std::string bundle{};  ///< absolute
  bool no_pivot = false;
};

struct Plan {
  std::string path{};  ///< absolute
  bool readonly = false;
  bool no_pivot = false;
  /// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, with MS_REC where all below is meant too,
  /// for the container's root; 0 where the config does not say.
  std::uint64_t propagation = 0;
  /// Nothing of set-up looks for a path of the host in init's mount namespace, so it need not begin
  /// as a copy of the host's. Decided by make_plan.
  bool apart = false;
  bool operator==(const Plan&) const = default;
};

/// Reads from the top of config.json. Throws Error(spec).
Spec read(const spec::Reader& top);
/// Throws Error(spec) for a propagation that is unsafe without pivot_root.
Plan plan(const Spec& spec, const Options& options, const Host& host);

/// The propagation, with MS_REC, that a clone of a host's mount gets where nothing else asks for
/// one; 0 leaves it as the host has it. Binds start with it, and so does everything below the
/// rootfs.
std::uint64_t clone_propagation(const Plan& plan) noexcept;

/// A detached clone of the rootfs and everything mounted below it; in the parent or, rootless, in
/// init. Throws Error(spec) "invalid rootfs: …" for what is no directory, and Error(system).
sys::Fd open_source(const Plan& plan);
/// A mount namespace for init to begin in with one mount and not with as many as the host has,
/// where the Plan allows it and the kernel can make one; empty otherwise. `tree` is what
/// open_source gave.
sys::Fd find_namespace(const Plan& plan, sys::FdRef tree);
/// Takes the mount namespace out of the host's propagation and attaches the clone over the rootfs
/// path, or, after having joined `apart`, over the one mount that is there. Runs while host paths
/// are still reachable for init. Gives the container's root. Throws Error(system).
sys::Root attach_in_init(const Plan& plan, sys::Fd tree, sys::Fd apart = sys::Fd());
/// Makes it the root, detaches everything else, and sets its propagation. Afterwards "/" is the
/// container's. Throws Error(system).
void enter_in_init(const Plan& plan, const sys::Root& root);
/// Makes "/" read-only where the config asks for it: after masks, devices and hooks.
/// Throws Error(system).
void finish_in_init(const Plan& plan, const sys::Root& root);
/// Where the root comes from, its propagation, and whether it is read-only.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::rootfs
