#include "stages/exec_cgroup.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include "features/cgroup_delegation.hpp"
#include "host/host.hpp"
#include "sys/file.hpp"
#include "sys/path.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

// Where create has put init: the container's own cgroup may hold no process then.
std::string delegated(const Record& record) {
  return cgroup_delegation::subgroup_of(record.annotations, !record.scope.name.empty());
}

}  // namespace

Place open_cgroup(const ExecRequest& request, const Record& record) {
  if (record.cgroup_directory.empty()) return {};
  // Enough of a descriptor for clone3 (clone(2), CLONE_INTO_CGROUP).
  sys::Fd directory =
      sys::open_at(sys::FdRef::cwd(), record.cgroup_directory, O_PATH | O_DIRECTORY);
  std::string path = request.cgroup.empty() ? delegated(record) : request.cgroup;
  if (const std::size_t colon = path.find(':'); colon != std::string::npos) {
    if (colon != 0) {
      throw Error(ErrorKind::usage,
                  fmt::format("unknown controller {} in SubCgroupPaths: cgroup v2 "
                              "has one tree for all",
                              path.substr(0, colon)));
    }
    path.erase(0, 1);
  }
  if (("/" + path + "/").find("/../") != std::string::npos) {
    throw Error(ErrorKind::usage, fmt::format("--cgroup {} leaves the container's cgroup", path));
  }
  path = sys::clean_path(path);
  if (path == "/") {
    return {.cgroup = std::move(directory), .scope = record.scope, .inner = std::move(path)};
  }
  const sys::Root root(std::move(directory));
  return in_context([&] { return fmt::format("--cgroup \"{}\"", path); },
                    [&] {
                      return Place{.cgroup = root.open(path, O_RDONLY | O_DIRECTORY),
                                   .scope = record.scope,
                                   .inner = path};
                    });
}

Place find_cgroup_of_init(const Record& record) {
  const std::string path = own_cgroup_of(
      sys::read_file(sys::FdRef::cwd(), fmt::format("/proc/{}/cgroup", record.init.pid)));
  const std::string directory = probe_host({}).cgroup.mount_point + path;
  // A container that may write to the whole tree could lead the process anywhere.
  if (!directory.starts_with(record.cgroup_directory + "/")) return {};
  return {.cgroup = sys::open_at(sys::FdRef::cwd(), directory, O_RDONLY | O_DIRECTORY),
          .scope = record.scope,
          .inner = directory.substr(record.cgroup_directory.size())};
}

}  // namespace tare::stages
