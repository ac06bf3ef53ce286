/// What criu finds when it restores: a mount namespace of its own, in which the rootfs is a mount
/// point and everything that the container gets from outside is mounted by a number. It is the
/// namespace that keeps the host clean: whatever happens to criu or to us, these mounts go with it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "features/all.hpp"
#include "sys/fd.hpp"

namespace tare::stages {

/// One thing from outside, as a detached mount: id-mapped and with its attributes, as create has
/// it.
struct Foreign {
  std::string name{};  ///< what the images call it
  sys::Fd mount{};
  /// Where the host has it, if criu is to find it there; empty if it is to find `mount`.
  std::string place{};
};

/// What the parent has opened for the namespace before it existed.
struct CriuRoot {
  std::string directory{};  ///< absolute; empty on the host
  sys::Fd rootfs{};
  std::vector<Foreign> foreign{};

  /// Where criu finds the rootfs.
  std::string root_path() const;
  /// For criu: each name with the path that stands for it.
  std::vector<std::pair<std::string, std::string>> external_mounts() const;
};

/// Makes the mount points that the rootfs lacks, as create would: criu makes none. In a child with
/// a mount namespace of its own. Throws Error(spec or system).
void make_mount_points(const Plan& plan);

/// Clones everything. `directory` is one of ours. Throws Error(system).
CriuRoot open_criu_root(const Plan& plan, const std::string& directory);

/// Mounts it all, in a child that has a mount namespace of its own. Throws Error(system).
void enter_criu_root(const CriuRoot& root);

}  // namespace tare::stages
