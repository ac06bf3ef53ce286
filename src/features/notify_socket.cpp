#include "features/notify_socket.hpp"

#include <fmt/core.h>
#include <linux/mount.h>

namespace tare::notify_socket {
namespace {

constexpr char kTarget[] = "/run/notify";

}  // namespace

Plan plan(const std::string& directory, const namespaces::Plan& namespaces) {
  if (!namespaces.has(namespaces::Type::mount)) return {};
  return {.directory = directory};
}

void add_to(const Plan& plan, mounts::Spec& mounts, environment::Spec& environment) {
  if (plan.directory.empty()) return;
  mounts::Entry entry{.destination = kTarget, .source = plan.directory};
  entry.options.bind = true;
  entry.options.names_flags = true;
  // The directory is bound and not the socket, which is made only by start. Connecting to a socket
  // needs no writable mount.
  entry.options.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  mounts.entries.push_back(std::move(entry));
  environment.variables.push_back(fmt::format("NOTIFY_SOCKET={}/{}", kTarget, kName));
}

void explain(const Plan& plan, Explain& out) {
  if (plan.directory.empty()) return;
  out.add("notify_socket",
          fmt::format("pass READY= from {}/{} on to our own $NOTIFY_SOCKET", kTarget, kName));
}

}  // namespace tare::notify_socket
