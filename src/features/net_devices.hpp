/// linux.netDevices: devices of the runtime's network namespace that become the container's
/// (config-linux.md, "Network Devices"). Moved by the parent once init is in its network namespace
/// and before any hook; moved back if the container cannot be made. After that they belong to the
/// network namespace: what becomes of them at its end is the kernel's business
/// (network_namespaces(7)).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "features/explain.hpp"
#include "features/namespaces.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"
#include "sys/netlink.hpp"

namespace tare::net_devices {

struct Device {
  std::string name{};      ///< in the runtime's network namespace
  std::string new_name{};  ///< in the container's; "%d" in it is for the kernel to number
  std::string pointer{};   ///< "/linux/netDevices/eth0"
  bool operator==(const Device&) const = default;
};

struct Spec {
  std::vector<Device> devices{};
};

struct Plan {
  std::vector<Device> devices{};
  bool operator==(const Plan&) const = default;
};

/// Reads from the object `linux`. Throws Error(spec) for names that the kernel would not take.
Spec read(const spec::Reader& linux_object);
/// Throws Error(spec) without a private network namespace, for a rootless caller, and for two
/// devices that want the same name.
Plan plan(const Spec& spec, const namespaces::Plan& namespaces, const Host& host);

/// What has been moved, and the way back. Dropping it leaves the devices in the container.
class Moved {
 public:
  /// Opens both network namespaces, the second being that of process `pid`. Throws Error(spec)
  /// where they are one and the same, and Error(system).
  explicit Moved(pid_t pid);
  /// Moves one device: renamed, with its permanent addresses of global scope, and up. Throws
  /// Error(system); what is half done is then restored by restore().
  void move(const Device& device);
  /// Puts every device back under its old name, with its addresses and up if it was, the last one
  /// first. Its routes are gone: the kernel drops them when a device leaves. Goes on where one
  /// cannot be put back.
  void restore() noexcept;

 private:
  struct Origin {
    std::string name{};
    int index = 0;  ///< in the container's namespace
    bool up = false;
    std::vector<sys::Address> addresses{};
  };
  void restore_one(const Origin& origin);

  pid_t pid_;
  sys::Fd home_;
  sys::Fd away_;
  sys::RouteSocket from_;
  sys::RouteSocket to_;
  std::vector<Origin> origins_{};
};

/// Moves all devices into the network namespace of process `pid`. What it has moved is back again
/// if it throws Error(spec or system).
Moved apply_in_parent(const Plan& plan, pid_t pid);
/// One effect for each device.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::net_devices
