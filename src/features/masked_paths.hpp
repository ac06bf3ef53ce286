/// linux.maskedPaths and linux.readonlyPaths: hide or freeze paths inside the container
/// (config-linux.md, "Masked Paths", "Readonly Paths"). Applied in init after the root was entered,
/// and after sysctl, which writes below paths that are frozen here. A file is masked by the host's
/// /dev/null, cloned before the container existed and known to be it (CVE-2025-31133); all
/// directories share one read-only tmpfs. What is in a procfs or sysfs of the container is looked
/// up from that filesystem, not from "/", where its directory may have been exchanged for another.
#pragma once

#include <string>
#include <vector>

#include "features/explain.hpp"
#include "features/mounts.hpp"
#include "features/selinux.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"
#include "sys/path.hpp"

namespace tare::masked_paths {

struct Spec {
  std::vector<std::string> masked{};
  std::vector<std::string> readonly{};
};

struct Plan {
  std::vector<std::string> masked{};    ///< cleaned, absolute
  std::vector<std::string> readonly{};  ///< cleaned, absolute
  selinux::MountPlan label{};           ///< of the directory that hides others
  bool operator==(const Plan&) const = default;
};

/// Reads both lists of the object `linux`. Throws Error(spec) for what is no absolute path.
Spec read(const spec::Reader& linux_object);
/// Cleans the paths and drops repeated ones.
Plan plan(const Spec& spec, const selinux::MountPlan& label);
/// A detached clone of the host's /dev/null, verified to be char 1:3; empty when nothing is masked.
sys::Fd open_source(const Plan& plan);
/// A path that does not exist is skipped, as the specification has it; anything else is an error.
void apply_in_init(const Plan& plan, const sys::Root& root,
                   const std::vector<mounts::KernelTree>& trees, sys::Fd null_device);
/// One line for each path.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::masked_paths
