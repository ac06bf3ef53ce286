/// The option words of one mount (config.md, "Mounts", and config-linux.md): which attribute bits
/// they set and clear on the mount itself or, with an r in front, on all below it, which
/// propagation they ask for, and what is left for the filesystem. Read with `mounts`, which decides
/// and acts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "features/id_mapped_mounts.hpp"
#include "spec/reader.hpp"

namespace tare::mount_options {

struct Options {
  bool bind = false;
  bool recursive_bind = false;  ///< rbind
  bool remount = false;
  bool copy_up = false;           ///< tmpcopyup
  bool copy_link = false;         ///< copy-symlink: a source that is a link is made again
  bool keep_source_link = false;  ///< src-nofollow: a source that is a link is bound itself
  bool keep_target_link = false;  ///< dest-nofollow: a destination that is a link is covered
  /// Some word was about the mount's own flags, be it only "rw": for a bind, flags that no word
  /// names then are not taken over from the source, as mount(8) has it.
  bool names_flags = false;
  std::uint64_t set = 0;            ///< MOUNT_ATTR_* to set on the mount
  std::uint64_t clear = 0;          ///< MOUNT_ATTR_* to clear on the mount
  std::uint64_t recursive_set = 0;  ///< the same for the mount and all below it
  std::uint64_t recursive_clear = 0;
  std::vector<std::uint64_t> propagation{};  ///< MS_* [| MS_REC], in the order given
  std::vector<std::string> superblock{};     ///< flags of the filesystem itself: "ro", "sync"
  std::vector<std::string> data{};           ///< "size=64k": passed to the filesystem as it is
  id_mapped_mounts::Spec id_map{};           ///< idmap, ridmap, uidMappings and gidMappings
  bool operator==(const Options&) const = default;
};

/// Reads what one mount says besides its type and places: `options`, and the mappings that some of
/// them are about. Throws Error(spec).
Options parse(const spec::Reader& mount);

/// Every option word that parse() knows, for `tare features`, sorted.
std::vector<std::string> known_options();

/// One call of mount_setattr.
struct Change {
  std::uint64_t set = 0;          ///< MOUNT_ATTR_*
  std::uint64_t clear = 0;        ///< MOUNT_ATTR_*
  std::uint64_t propagation = 0;  ///< MS_* without MS_REC, or 0
  bool recursive = false;
  bool operator==(const Change&) const = default;
};

/// The fewest calls that give a mount what the options ask for, in order. `tree` tells whether
/// there may be mounts below it.
std::vector<Change> changes(const Options& options, bool tree);

}  // namespace tare::mount_options
