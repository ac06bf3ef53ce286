/// Paths inside a container. Whatever the rootfs holds (symbolic links, magic links, races),
/// nothing resolves outside the descriptor that a Root owns: openat2(2) with RESOLVE_IN_ROOT and
/// RESOLVE_NO_MAGICLINKS does every walk. This removes the class of CVE-2019-16884, CVE-2021-30465,
/// CVE-2024-45310 and CVE-2026-41579.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.hpp"

namespace tare::sys {

/// A path made canonical by its text alone: "/" in front, no ".", "..", empty or trailing
/// components.
/// "/a/../../b//c/" is "/b/c".
std::string clean_path(std::string_view path);

/// Opens `path` below `dir` where nothing may stand in the way: no link of any kind, no mount on
/// the way, nothing above (RESOLVE_BENEATH, NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS). For procfs,
/// devpts and the like, where whatever is mounted over a file is there to deceive (CVE-2025-52881).
/// O_CLOEXEC is added. Throws Error(system).
Fd open_beneath(FdRef dir, const std::string& path, int flags);

class Root {
 public:
  /// Takes a directory (O_PATH is enough) to be "/".
  explicit Root(Fd directory) noexcept : directory_(std::move(directory)) {}

  FdRef fd() const noexcept { return directory_; }

  /// Opens what `inside` names; links are followed within the root. O_CLOEXEC is added.
  /// Throws Error(system).
  Fd open(std::string_view inside, int flags, unsigned mode = 0) const;

  /// As open, but ENOENT and ENOTDIR are nullopt.
  std::optional<Fd> find(std::string_view inside, int flags) const;

  /// As find, but no component, the last included, may be a symbolic link: one is nullopt as well.
  std::optional<Fd> find_without_links(std::string_view inside, int flags) const;

  /// An O_PATH descriptor of the directory `inside`, which is made, with its parents, where
  /// missing. A dangling link is made good within the root. Throws Error(system).
  Fd make_directories(std::string_view inside, unsigned mode) const;

  /// An O_PATH descriptor of the file `inside`; an empty one is made, with its parents, where
  /// missing. Whatever exists there already, of any type, is left as it is. Throws Error(system).
  Fd make_file(std::string_view inside, unsigned mode) const;

  /// Makes the parents of `inside` and gives the last directory (O_PATH); `name` is set to the last
  /// component, for one `*at` call with NOFOLLOW. Throws Error(system).
  Fd parent_of(std::string_view inside, std::string& name) const;

 private:
  Fd directory_;
};

}  // namespace tare::sys
