#include "features/cgroup.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <cerrno>

#include "sys/cgroup_file.hpp"
#include "sys/file.hpp"
#include "sys/path.hpp"

namespace tare::cgroup {
namespace {

constexpr std::string_view kField = "/linux/cgroupsPath";
constexpr unsigned kDirectoryMode = 0755;

// A parent that another container's delete removes between our two calls is made again; it is a
// race that each round has to lose anew.
constexpr int kMaxAttempts = 16;

Error field_error(ErrorKind kind, std::string text) {
  Error error(kind, std::move(text));
  error.set_field(std::string(kField));
  return error;
}

// "/a" for "/a/b", "" for "/a".
std::string parent_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// A relative path, and the container's id where there is none, starts at the parent of the caller's
// own cgroup, as runc's does: the own one holds a process (the caller), and cgroup v2 passes
// controllers on only from cgroups that hold none.
std::string decide_path(const Spec& spec, const Options& options, const CgroupLayout& layout) {
  if (spec.path.starts_with('/')) return sys::clean_path(spec.path);
  std::string inner = sys::clean_path(spec.path.empty() ? options.id : spec.path);
  if (inner == "/") return inner;
  return parent_of(sys::clean_path(layout.own)) + inner;
}

// Removes what was made when it goes, unless it was handed on.
class MadeDirectories {
 public:
  MadeDirectories() = default;
  MadeDirectories(const MadeDirectories&) = delete;
  MadeDirectories& operator=(const MadeDirectories&) = delete;
  ~MadeDirectories() { remove_made(made_); }

  // 0 when it was made, EEXIST when it was there, or why it cannot be made.
  int make(const std::string& mount_point, const std::string& path) {
    const std::string directory = mount_point + path;
    // The whole path first: its parents are there for all but the first container of a kind.
    int number = ENOENT;
    for (int attempt = 0; number == ENOENT && attempt < kMaxAttempts; ++attempt) {
      number = sys::try_make_directory(directory, kDirectoryMode);
      const std::string parent = parent_of(path);
      if (number != ENOENT || parent.empty()) break;
      const int above = make(mount_point, parent);
      if (above != 0 && above != EEXIST) return above;
    }
    if (number == 0) made_.push_back(directory);
    return number;
  }

  std::vector<std::string> release() noexcept { return std::exchange(made_, {}); }

 private:
  std::vector<std::string> made_;
};

// cgroup.events of a cgroup that has just been made tells of the ones above: one below a frozen
// cgroup starts frozen, and so would init, for ever. Directly below the root there is nothing to be
// frozen.
void check_state(const Plan& plan, sys::FdRef directory, bool fresh) {
  if (fresh && parent_of(plan.path).empty()) return;
  const std::string events = sys::read_value(directory, "cgroup.events").value_or("");
  if (events.find("populated 1") != std::string::npos) {
    throw Error(ErrorKind::state,
                fmt::format("container's cgroup is not empty: {} process(es) found",
                            processes(plan.directory()).size()),
                fmt::format("processes of something else are in {}", plan.directory()));
  }
  if (events.find("frozen 1") != std::string::npos) {
    throw Error(ErrorKind::state, "container's cgroup unexpectedly frozen",
                fmt::format("thaw {}, or the cgroup above it that is frozen", plan.directory()));
  }
}

bool is_refusal(int number) noexcept {
  return number == EACCES || number == EPERM || number == EROFS || number == ENOENT;
}

Created make(const Plan& plan) {
  MadeDirectories directories;
  const int number = directories.make(plan.mount_point, plan.path);
  if (plan.optional && is_refusal(number)) return {};
  if (number != 0 && number != EEXIST) {
    // The words that callers know from runc.
    throw Error::from_errno(
        number, fmt::format("unable to apply cgroup configuration: mkdir {}", plan.directory()));
  }
  Created created;
  created.directory = sys::open_at(sys::FdRef::cwd(), plan.directory(), O_RDONLY | O_DIRECTORY);
  check_state(plan, created.directory, number == 0);
  created.made = directories.release();
  return created;
}

}  // namespace

Spec read(const spec::Reader& linux_object) {
  return {.path = linux_object.string_or("cgroupsPath", "")};
}

Plan plan(const Spec& spec, const Options& options, const Host& host) {
  if (options.disabled) return {};
  // Who asks for systemd wants its scope; only a directory may be left out.
  const bool optional =
      options.rootless.value_or(host.rootless) && spec.path.empty() && !options.systemd;
  if (host.cgroup.mount_point.empty()) {
    if (optional) return {};
    throw field_error(ErrorKind::unsupported,
                      "cgroup v2 is mounted neither at /sys/fs/cgroup nor at "
                      "/sys/fs/cgroup/unified");
  }
  Plan plan{.mount_point = host.cgroup.mount_point, .optional = optional};
  if (options.systemd) {
    plan.unit = systemd_unit::unit_of(spec.path, options.id, host);
    plan.path = systemd_unit::path_of(plan.unit, host);
    return plan;
  }
  plan.path = decide_path(spec, options, host.cgroup);
  if (plan.path == "/") {
    throw field_error(ErrorKind::spec,
                      fmt::format("config.json {}: \"{}\" names the whole tree, not a cgroup in it",
                                  kField, spec.path));
  }
  return plan;
}

Created apply_in_parent(const Plan& plan) {
  if (!plan.enabled()) return {};
  return asked_by([] { return std::string(kField); }, [&] { return make(plan); });
}

sys::Fd open_in_parent(const Plan& plan) {
  return sys::open_at(sys::FdRef::cwd(), plan.directory(), O_RDONLY | O_DIRECTORY);
}

void remove_made(const std::vector<std::string>& made) noexcept {
  for (std::size_t left = made.size(); left-- > 0;) {
    sys::try_remove_directory(sys::FdRef::cwd(), made[left]);
  }
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.enabled()) {
    out.add("cgroup", "no cgroup of its own: the container stays in the caller's");
    return;
  }
  if (!plan.unit.name.empty()) {
    out.add("cgroup", fmt::format("start init in the cgroup {} of its scope", plan.directory()),
            std::string(kField));
    return;
  }
  out.add("cgroup",
          fmt::format("make the cgroup {} and start init in it{}", plan.directory(),
                      plan.optional ? ", or stay in the caller's where that is not permitted" : ""),
          plan.optional ? "" : std::string(kField));
}

}  // namespace tare::cgroup
