#include "stages/limits.hpp"

#include <fmt/core.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <string_view>

#include "sys/cgroup_file.hpp"
#include "sys/file.hpp"

namespace tare::stages {
namespace {

// The value in a file of one number or word, or of lines such as "oom_kill 1".
std::optional<std::string> find_word(const std::string& path, std::string_view key = {}) {
  const std::optional<std::string> text = sys::read_value(sys::FdRef::cwd(), path);
  if (!text) return std::nullopt;
  std::size_t from = 0;
  if (!key.empty()) {
    const std::string lines = "\n" + *text;
    const std::size_t at = lines.find(fmt::format("\n{} ", key));
    if (at == std::string::npos) return std::nullopt;
    from = at + key.size() + 1;
  }
  return text->substr(from, text->find('\n', from) - from);
}

bool has_counted(const std::string& path, std::string_view key) {
  return find_word(path, key).value_or("0") != "0";
}

// The first cgroup from this one up that `hit` is true of, as "FILE of CGROUP is VALUE". The root
// of the tree has no limits, and so no such file.
std::string first_limit(std::string cgroup, std::string_view file,
                        const std::function<bool(const std::string&, const std::string&)>& hit) {
  while (!cgroup.empty()) {
    const std::optional<std::string> value = find_word(fmt::format("{}/{}", cgroup, file));
    if (value && *value != "max" && hit(cgroup, *value)) {
      return fmt::format("{} of {} is {}", file, cgroup, *value);
    }
    cgroup.erase(cgroup.rfind('/'));
  }
  return {};
}

// pids.current counts the processes below as well. At the limit one more is refused.
bool is_full(const std::string& cgroup, const std::string& most) {
  const std::string now = find_word(cgroup + "/pids.current").value_or("");
  return now.size() > most.size() || (now.size() == most.size() && now >= most);
}

struct NamespaceLimit {
  std::uint64_t flag;
  std::string_view file;
};

// What holds in the user namespace of the caller; those above it may have set less, which cannot be
// read from here.
std::string namespace_limits(std::uint64_t namespaces) {
  constexpr NamespaceLimit kLimits[] = {{CLONE_NEWUSER, "user"},    {CLONE_NEWPID, "pid"},
                                        {CLONE_NEWNS, "mnt"},       {CLONE_NEWNET, "net"},
                                        {CLONE_NEWIPC, "ipc"},      {CLONE_NEWUTS, "uts"},
                                        {CLONE_NEWCGROUP, "cgroup"}};
  std::string text;
  for (const NamespaceLimit& limit : kLimits) {
    if ((namespaces & limit.flag) == 0) continue;
    const std::string path = fmt::format("/proc/sys/user/max_{}_namespaces", limit.file);
    const std::optional<std::string> value = find_word(path);
    if (!value) continue;
    if (*value == "0") return fmt::format("{} is 0", path);
    text += fmt::format("{}{} is {}", text.empty() ? "" : ", ", path, *value);
  }
  return text.empty() ? text : "there are as many namespaces as may be, or 32 levels: " + text;
}

// A cgroup below one of threads can hold nothing until it is made one of threads itself
// (cgroup-v2.rst, "Threads").
std::string kind_that_holds_nothing(const std::string& cgroup) {
  const std::string type = find_word(cgroup + "/cgroup.type").value_or("");
  if (type != "domain invalid") return {};
  return fmt::format("cgroup.type of {} is {}: there are threads' cgroups above it", cgroup, type);
}

}  // namespace

bool was_out_of_memory(const std::string& cgroup_directory) {
  return !cgroup_directory.empty() && has_counted(cgroup_directory + "/memory.events", "oom_kill");
}

bool has_lost_its_counts(const std::string& cgroup_directory) {
  if (cgroup_directory.empty() || find_word(cgroup_directory + "/memory.events")) return false;
  // The kernel takes a cgroup's files away before the directory. Where they are missing because the
  // controller is off the parent says so; but systemd turns it off there once the last cgroup that
  // needed it is gone, so that this is asked before the directory is looked for, and not after.
  const std::string parent = cgroup_directory.substr(0, cgroup_directory.rfind('/'));
  const std::optional<std::string> controllers =
      sys::read_value(sys::FdRef::cwd(), parent + "/cgroup.subtree_control");
  return !controllers || controllers->find("memory") != std::string::npos ||
         !sys::find_directory(sys::FdRef::cwd(), cgroup_directory);
}

std::string memory_limit_of(const std::string& cgroup_directory) {
  // Where the limit was hit it is an event of the cgroup's own, and not one from below.
  return first_limit(cgroup_directory, "memory.max", [](const std::string& cgroup, const auto&) {
    return has_counted(cgroup + "/memory.events.local", "oom");
  });
}

void name_limit_of_clone(Error& error, const std::string& cgroup_directory,
                         std::uint64_t namespaces) {
  std::string limit;
  if (error.errno_value() == EAGAIN) {
    limit = first_limit(cgroup_directory, "pids.max", is_full);
    if (limit.empty()) {
      limit = "there are as many processes as RLIMIT_NPROC of the caller, or the machine, allows";
    }
  }
  if (error.errno_value() == ENOSPC) limit = namespace_limits(namespaces);
  if (error.errno_value() == EOPNOTSUPP) limit = kind_that_holds_nothing(cgroup_directory);
  if (!limit.empty()) error.add_cause(limit);
}

}  // namespace tare::stages
