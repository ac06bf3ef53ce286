/// A container's tree put together on a machine of its own, by the steps that create takes, and
/// looked at from inside: what mounts, devices and masks have in common in their tests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sys/fd.hpp"

namespace tare::test {

inline const std::string kRoot = "/mnt/rootfs";
/// A directory for the sources of binds; both exist and are empty when `prepare` runs.
inline const std::string kSource = "/mnt/source";

/// Looks around in the container and gives an answer; the descriptor is own_proc() of its process.
using Look = std::function<std::string(sys::FdRef)>;
/// The look of a test that only wants to know whether there is an error: "done".
std::string nothing(sys::FdRef proc);

struct Trial {
  std::string mounts{};        ///< entries of /mounts of a config, with commas between
  std::string linux_object{};  ///< members of /linux: devices, maskedPaths, readonlyPaths
  std::uint64_t namespaces = default_namespaces();
  std::uint64_t propagation = 0;  ///< of the rootfs
  std::string cgroup{};           ///< the directory of the container's cgroup
  bool has_devices = false;       ///< make the devices, as create does
  std::function<void()> prepare = [] {};
  /// Runs in the container between its mounts and its masks.
  std::function<void()> before_masks = [] {};
  /// Runs on the machine when the container is gone; its answer is added.
  std::function<std::string()> afterwards = [] { return std::string(); };

  static std::uint64_t default_namespaces() noexcept;
  /// Makes the machine and the container, and gives the answer of `look` or "error: …".
  std::string run(const Look& look) const;
};

/// An entry of /mounts that binds; `options` are quoted words with commas between.
std::string bind_entry(const std::string& source, const std::string& destination,
                       const std::string& options);
/// An entry of /mounts for a filesystem; its source is "named".
std::string entry(const std::string& type, const std::string& destination,
                  const std::string& options = {});

}  // namespace tare::test
