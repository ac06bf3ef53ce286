#include "features/cgroup_write.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sys/cgroup_file.hpp"

namespace tare::cgroup_resources {
namespace {

std::string hint_for_missing(const Write& write) {
  if (write.controller == "hugetlb" && !is_unified(write)) {
    return "this machine has no huge pages of that size (/sys/kernel/mm/hugepages)";
  }
  return "this kernel has no such file in a cgroup";
}

// The errno values that say more here than their own words.
std::string hint_for(int number, const Write& write) {
  switch (number) {
    case ENOENT:
      return hint_for_missing(write);
    case EACCES:
    case EPERM:
    case EROFS:
      return "the cgroup is not the caller's to change, or the file is not one to write: have its "
             "owner delegate it (systemd: Delegate=yes)";
    case EBUSY:
      return "the cgroup is in use in a way that the value does not allow";
    case ENODEV:
      return write.controller == "io" || write.controller == "rdma"
                 ? "this machine has no such device"
                 : "the cgroup has been removed";
    case EOPNOTSUPP:
      return write.controller == "io"
                 ? "the device is under no scheduler or cost model that knows weights"
                 : "";
    case ENOSPC:
      return "nothing is left of what the value asks for, in this cgroup or one above it";
    default:
      return "";
  }
}

}  // namespace

void add(Spec& spec, std::string_view file, std::string value, std::string pointer) {
  Write write{.controller = std::string(file.substr(0, file.find('.'))),
              .file = std::string(file),
              .value = std::move(value),
              .pointer = std::move(pointer)};
  // The files of cgroup itself are there without any controller.
  if (write.controller == "cgroup") write.controller.clear();
  spec.writes.push_back(std::move(write));
}

bool is_unified(const Write& write) noexcept {
  return write.pointer.find("/unified/") != std::string::npos;
}

// Some files (io.max) take one line at a time.
int put(sys::FdRef directory, const std::string& file, std::string_view value) noexcept {
  std::string_view rest = value;
  do {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    const int number = sys::try_write_value(directory, file, line);
    if (number != 0) return number;
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  } while (!rest.empty());
  return 0;
}

int put(sys::FdRef directory, const Write& write) noexcept {
  const int number = put(directory, write.file, write.value);
  if (number != ENOENT || write.fallback_file.empty()) return number;
  return put(directory, write.fallback_file, write.fallback_value);
}

Error refusal(int number, const Write& write, const std::string& cgroup_directory) {
  std::string call =
      fmt::format("write \"{}\" to {}/{}", write.value, cgroup_directory, write.file);
  if (!write.fallback_file.empty()) {
    call += fmt::format(", or \"{}\" to {}", write.fallback_value, write.fallback_file);
  }
  Error error = Error::from_errno(number, std::move(call), hint_for(number, write));
  if (is_unified(write)) {
    error.add_context(fmt::format("unable to set unified resource \"{}\"", write.file));
  }
  error.set_field(write.pointer);
  return error;
}

}  // namespace tare::cgroup_resources
