#include "features/cgroup_controllers.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <set>

#include "host/host.hpp"
#include "sys/cgroup_file.hpp"

namespace tare::cgroup_controllers {
namespace {

std::string hint_for(int number, const std::string& ancestor) {
  switch (number) {
    case EBUSY:
      return fmt::format(
          "{} holds processes, and a cgroup that passes controllers on may hold none (cgroups(7)): "
          "choose a cgroupsPath below one that holds none",
          ancestor);
    case EACCES:
    case EPERM:
    case EROFS:
      return fmt::format(
          "{} is not the caller's to change: have its owner pass the controller on (systemd: "
          "Delegate=yes)",
          ancestor);
    case EOPNOTSUPP:
      return fmt::format("{} is a threaded cgroup, which passes on few controllers (cgroups(7))",
                         ancestor);
    case ENOENT:
      return fmt::format("{} has not got the controller itself", ancestor);
    default:
      return "";
  }
}

// Controllers one by one would be refused one by one; a write is all or nothing.
void pass_on(const std::vector<std::string>& controllers, const std::string& ancestor) {
  const std::string file = ancestor + "/cgroup.subtree_control";
  // A caller to whom only the lower part of the tree is delegated may not write further up, where
  // what it needs is passed on already.
  const std::set<std::string> passed =
      words_of(sys::read_value(sys::FdRef::cwd(), file).value_or(""));
  std::string names;
  std::string value;
  for (const std::string& name : controllers) {
    if (passed.contains(name)) continue;
    names += (names.empty() ? "" : ", ") + name;
    value += (value.empty() ? "+" : " +") + name;
  }
  if (value.empty()) return;
  const int number = sys::try_write_value(sys::FdRef::cwd(), file, value);
  if (number == 0) return;
  Error error = Error::from_errno(number, fmt::format("write \"{}\" to {}", value, file),
                                  hint_for(number, ancestor));
  error.add_context(fmt::format("{} does not pass on: {}", ancestor, names));
  throw error;
}

// One controller that refuses (a threaded cgroup has none for whole domains, cpu none beside
// processes with real-time priority) must not keep the others from being passed on.
void pass_on_what_can_be(const std::string& ancestor) {
  const std::string file = ancestor + "/cgroup.subtree_control";
  const std::set<std::string> passed =
      words_of(sys::read_value(sys::FdRef::cwd(), file).value_or(""));
  const std::string all =
      sys::read_value(sys::FdRef::cwd(), ancestor + "/cgroup.controllers").value_or("");
  for (const std::string& name : words_of(all)) {
    if (!passed.contains(name)) sys::try_write_value(sys::FdRef::cwd(), file, "+" + name);
  }
}

// Calls `each` with every cgroup from the tree's root down to the parent of `cgroup`.
template <typename Each>
void for_ancestors(const cgroup::Plan& cgroup, Each each) {
  for (std::size_t at = 0; at != std::string::npos && at + 1 < cgroup.path.size();
       at = cgroup.path.find('/', at + 1)) {
    each(cgroup.mount_point + cgroup.path.substr(0, at));
  }
}

}  // namespace

void enable(const std::vector<std::string>& controllers, const cgroup::Plan& cgroup) {
  for_ancestors(cgroup, [&](const std::string& ancestor) { pass_on(controllers, ancestor); });
}

void enable_all(const cgroup::Plan& cgroup) {
  for_ancestors(cgroup, pass_on_what_can_be);
}

}  // namespace tare::cgroup_controllers
