/// linux.intelRdt: the container's share of the last-level cache and of memory bandwidth
/// (config-linux.md, "IntelRdt"), through the resctrl filesystem that the host has mounted. The
/// parent makes the group before init exists, puts init into it, and removes at delete what is the
/// container's own; exec puts its process in as well.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "tare/record.hpp"

namespace tare::intel_rdt {

/// One line of a schemata file, "L3:0=ff;1=f".
struct Line {
  std::string text{};
  std::string pointer{};
  bool operator==(const Line&) const = default;
};

struct Spec {
  bool enabled = false;
  std::string clos_id{};            ///< class of service; empty: one of the container's own
  std::vector<Line> schemata{};     ///< in the order in which they are written
  std::string l3_pointer{};         ///< of l3CacheSchema; empty where there is none
  std::string bandwidth_pointer{};  ///< of memBwSchema; empty where there is none
  bool monitoring = false;
};

struct Plan {
  std::string root{};  ///< the mount point of resctrl; empty: nothing is done
  /// Where the group is, where its monitoring group is, and whether delete removes it.
  ResctrlGroup group{};
  std::vector<Line> schemata{};
  bool shared = false;  ///< a group of that name is others' too: its schemata must be the same
  bool operator==(const Plan&) const = default;
  bool enabled() const noexcept { return !root.empty(); }
};

/// Reads from the object `linux`. Throws Error(spec): a closID that leaves resctrl, a line that is
/// several.
Spec read(const spec::Reader& linux_object);
/// Throws Error(unsupported) where no resctrl is mounted, or not with what the config needs.
Plan plan(const Spec& spec, const std::string& id, const Host& host);

/// Makes the groups that are missing and sets or compares the schemata. Gives what to remove again,
/// innermost last. Throws Error(system), with the kernel's own reason from info/last_cmd_status,
/// and Error(spec) where a group that exists has other schemata.
std::vector<std::string> apply_in_parent(const Plan& plan);
/// Puts a process into the groups; nothing where there are none. Throws Error(system).
void add_process(const ResctrlGroup& group, pid_t pid);
/// Removes what is the container's own. True when it is gone. Throws nothing: what is left is not
/// worth keeping a container for.
bool remove(const ResctrlGroup& group) noexcept;

/// Sets lines of an existing group, for `update`, and gives the text that sets it back. Throws
/// Error(system).
std::string replace_schemata(const ResctrlGroup& group, const std::vector<Line>& lines,
                             const std::string& root);
/// What `update` says where a schema cannot be changed, in runc's words: Error(unsupported).
void check_update(bool l3, bool bandwidth, const ResctrlGroup& group, const Host& host);

/// Whether a schemata file says of its resources what the lines say. `granularity` is what the
/// kernel rounds bandwidths up to. Pure.
bool agrees(std::string_view file, std::string_view line, unsigned granularity) noexcept;

/// Which group, and its schemata.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::intel_rdt
