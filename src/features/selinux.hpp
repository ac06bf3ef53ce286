/// process.selinuxLabel and exec --process-label (config.md, "Linux Process"): the SELinux context
/// of the payload and of its session keyring; linux.mountLabel (config-linux.md, "Mount Label"):
/// the one of the filesystems that are made for the container, with crun's annotation
/// run.oci.mount_context_type. The process asks for its own label, through a procfs that was opened
/// before the container's root was in sight; `mounts` and `masked_paths` pass the other one on.
#pragma once

#include <map>
#include <string>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::selinux {

struct Spec {
  std::string label{};
};

struct Plan {
  std::string label{};  ///< empty: none is asked for
  bool operator==(const Plan&) const = default;
};

struct MountSpec {
  std::string label{};
  std::string type{};  ///< the name of the mount option, mount(8): "context", "fscontext", ...
};

/// What a new filesystem is told.
struct MountPlan {
  std::string label{};  ///< empty: nothing
  std::string type = "context";
  bool operator==(const MountPlan&) const = default;
};

/// Reads from the object `process`. Throws Error(spec) for a text that is no context.
Spec read(const spec::Reader& process);
/// Reads from the object `linux`, and the annotation. Throws Error(spec).
MountSpec read_mount(const spec::Reader& linux_object,
                     const std::map<std::string, std::string>& annotations);
/// Throws Error(spec) for control characters and for more than a page: no context has them.
void check_label(const std::string& label, const std::string& field);
/// Throw Error(unsupported) where this machine has no SELinux and a label is asked for.
Plan plan(const Spec& spec, const Host& host);
MountPlan plan_mount(const MountSpec& spec, const Host& host);
/// Has the kernel label the keyrings that this thread makes from now on until its next execve.
/// A kernel that labels none is no error. Throws Error(system).
void apply_to_keyring(const Plan& plan, sys::FdRef procfs);
/// Has the kernel change this thread's label at its next execve. Throws Error(system).
void apply(const Plan& plan, sys::FdRef procfs);
/// Tells of labels only where there are some.
void explain(const Plan& plan, Explain& out);
void explain(const MountPlan& plan, Explain& out);

}  // namespace tare::selinux
