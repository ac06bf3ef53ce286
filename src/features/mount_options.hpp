/// The option words of one mount (config.md, "Mounts", and config-linux.md): which attribute bits they
/// set and clear on the mount itself or, with an r in front, on all below it, which propagation they
/// ask for, and what is left for the filesystem.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spec/reader.hpp"

namespace tare::mount_options {

struct Options {
  bool bind = false;
  bool recursive_bind = false;           ///< rbind
  bool remount = false;
  bool copy_up = false;                  ///< tmpcopyup
  std::uint64_t set = 0;                 ///< MOUNT_ATTR_* to set on the mount
  std::uint64_t clear = 0;               ///< MOUNT_ATTR_* to clear on the mount
  std::uint64_t recursive_set = 0;       ///< the same for the mount and all below it
  std::uint64_t recursive_clear = 0;
  std::vector<std::uint64_t> propagation{};  ///< MS_* [| MS_REC], in the order given
  std::vector<std::string> superblock{};     ///< flags of the filesystem itself: "ro", "sync", "dirsync"
  std::vector<std::string> data{};           ///< "size=64k": passed to the filesystem as it is
  bool operator==(const Options&) const = default;
};

/// Reads the array `options` of one mount. Throws Error(unsupported) for idmap and ridmap.
Options parse(const spec::Reader& mount);

/// Every option word that parse() knows, for `tare features`, sorted.
std::vector<std::string> known_options();

}  // namespace tare::mount_options
