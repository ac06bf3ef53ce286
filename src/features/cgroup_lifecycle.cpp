// What happens to a container's cgroup after it was made: listing, killing, freezing, removing.
// Names and nesting below it may be a hostile container's, which cgroup namespaces let make
// cgroups: all is done relative to descriptors, with one open at a time whatever the depth, and a
// bound on the number.
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "features/cgroup.hpp"
#include "sys/cgroup_file.hpp"
#include "sys/deadline.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace tare::cgroup {
namespace {

using sys::Deadline;

constexpr int kMaxVisited = 1'000'000;
constexpr int kFreezeForKillMs = 1000;
constexpr int kRemoveAttempts = 3;

struct Events {
  bool populated = false;
  bool frozen = false;
};

Events parse_events(const std::string& text) {
  return {.populated = text.find("populated 1") != std::string::npos,
          .frozen = text.find("frozen 1") != std::string::npos};
}

enum class Outcome { reached, gone, timed_out };

// Waits until cgroup.events says what is wanted. The kernel notifies of each change of that file,
// so nothing is missed between reading it and waiting.
template <typename Wanted>
Outcome await_events(sys::FdRef cgroup, const std::string& path, const Deadline& deadline,
                     Wanted wanted) {
  const std::optional<sys::Fd> file = sys::find_file(cgroup, path);
  if (!file) return Outcome::gone;
  for (;;) {
    const std::optional<std::string> text = sys::read_value(*file);
    if (!text) return Outcome::gone;
    if (wanted(parse_events(*text))) return Outcome::reached;
    if (!sys::await_change(*file, deadline.left_ms())) return Outcome::timed_out;
  }
}

// Goes through the cgroups below `top`: `before(parent, name)` says whether to go into one, and
// `after(parent, name)` comes when everything below it has been seen. The way up is "..", which a
// cgroup v2 directory keeps for life: it cannot be renamed.
template <typename Before, typename After>
void walk(sys::FdRef top, Before before, After after) {
  std::vector<std::vector<std::string>> levels = {sys::list_directories(top)};
  sys::Fd current = sys::duplicate(top);
  int visited = 0;
  while (true) {
    std::vector<std::string>& names = levels.back();
    if (names.empty()) {
      levels.pop_back();
      if (levels.empty()) return;
      current = sys::open_at(current, "..", O_RDONLY | O_DIRECTORY);
      after(current, levels.back().back());
      levels.back().pop_back();
      continue;
    }
    if (++visited > kMaxVisited) {
      throw Error(ErrorKind::system,
                  fmt::format("more than {} cgroups below the container's", kMaxVisited));
    }
    std::optional<sys::Fd> child;
    if (before(current, names.back())) child = sys::find_directory(current, names.back());
    if (!child) {
      names.pop_back();
      continue;
    }
    current = std::move(*child);
    levels.push_back(sys::list_directories(current));
  }
}

void add_pids(std::vector<int>& pids, const std::string& text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int pid = 0;
    at = std::from_chars(at, end, pid).ptr + 1;
    if (pid > 0) pids.push_back(pid);  // 0: not in this pid namespace
  }
}

std::vector<int> processes_of(sys::FdRef top) {
  std::vector<int> pids;
  std::optional<std::string> own = sys::read_value(top, "cgroup.procs");
  // A container with its cgroup tree writable may have made it a threaded one, which has no
  // cgroup.procs to read. Threaded ones further down have their processes in the list of a domain
  // above.
  if (!own) own = sys::read_value(top, "cgroup.threads");
  add_pids(pids, own.value_or(""));
  walk(
      top,
      [&pids](sys::FdRef parent, const std::string& name) {
        add_pids(pids, sys::read_value(parent, name + "/cgroup.procs").value_or(""));
        return true;
      },
      [](sys::FdRef, const std::string&) {});
  std::ranges::sort(pids);
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

// Without cgroup.kill (before Linux 5.14, or a threaded cgroup): frozen first, so that nothing
// forks while it is listed; a frozen process dies of SIGKILL all the same.
void kill_each(sys::FdRef top) {
  if (sys::try_write_value(top, "cgroup.freeze", "1") == 0) {
    await_events(top, "cgroup.events", Deadline(kFreezeForKillMs),
                 [](const Events& events) { return events.frozen || !events.populated; });
  }
  for (const int pid : processes_of(top)) {
    const std::optional<sys::Fd> pidfd = sys::open_pidfd(pid);
    if (pidfd) sys::send_signal(*pidfd, SIGKILL);
  }
  sys::try_write_value(top, "cgroup.freeze", "0");
}

bool is_gone(int number) noexcept {
  return number == 0 || number == ENOENT || number == ENODEV;
}

// True when gone, false when in use.
bool remove_one(sys::FdRef parent, const std::string& path) {
  const int number = sys::try_remove_directory(parent, path);
  if (is_gone(number)) return true;
  if (number == EBUSY) return false;
  throw Error::from_errno(number, fmt::format("rmdir {}", path));
}

bool remove_when_empty(sys::FdRef parent, const std::string& path, const Deadline& deadline) {
  for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
    if (remove_one(parent, path)) return true;
    const Outcome outcome = await_events(parent, path + "/cgroup.events", deadline,
                                         [](const Events& events) { return !events.populated; });
    if (outcome == Outcome::timed_out) return false;
  }
  return remove_one(parent, path);
}

}  // namespace

std::vector<int> processes(const std::string& directory) {
  const std::optional<sys::Fd> top = sys::find_directory(sys::FdRef::cwd(), directory);
  if (!top) return {};
  return processes_of(*top);
}

void kill_all(const std::string& directory) {
  const std::optional<sys::Fd> top = sys::find_directory(sys::FdRef::cwd(), directory);
  if (!top) return;
  const int number = sys::try_write_value(*top, "cgroup.kill", "1");
  if (number == 0 || number == ENODEV) return;
  if (number != ENOENT && number != EOPNOTSUPP) {
    throw Error::from_errno(number, fmt::format("write \"1\" to {}/cgroup.kill", directory));
  }
  kill_each(*top);
}

bool await_empty(const std::string& directory, int timeout_ms) {
  const Outcome outcome =
      await_events(sys::FdRef::cwd(), directory + "/cgroup.events", Deadline(timeout_ms),
                   [](const Events& events) { return !events.populated; });
  return outcome != Outcome::timed_out;
}

bool remove(const std::string& directory, int timeout_ms) {
  const sys::FdRef cwd = sys::FdRef::cwd();
  if (remove_one(cwd, directory)) return true;
  const Deadline deadline(timeout_ms);
  if (const std::optional<sys::Fd> top = sys::find_directory(cwd, directory)) {
    bool all_gone = true;
    walk(
        *top, [](sys::FdRef parent, const std::string& name) { return !remove_one(parent, name); },
        [&](sys::FdRef parent, const std::string& name) {
          all_gone = remove_when_empty(parent, name, deadline) && all_gone;
        });
    if (!all_gone) return false;
  }
  return remove_when_empty(cwd, directory, deadline);
}

void set_frozen(const std::string& directory, bool frozen, int timeout_ms) {
  const sys::Fd top = sys::open_at(sys::FdRef::cwd(), directory, O_RDONLY | O_DIRECTORY);
  const std::string_view value = frozen ? "1" : "0";
  const int number = sys::try_write_value(top, "cgroup.freeze", value);
  if (number != 0) {
    throw Error::from_errno(number,
                            fmt::format("write \"{}\" to {}/cgroup.freeze", value, directory));
  }
  const Outcome outcome =
      await_events(top, "cgroup.events", Deadline(timeout_ms),
                   [frozen](const Events& events) { return events.frozen == frozen; });
  if (outcome != Outcome::timed_out) return;
  if (frozen) sys::try_write_value(top, "cgroup.freeze", "0");
  throw Error(ErrorKind::system,
              fmt::format("{} has not {} within {} ms", directory, frozen ? "frozen" : "thawed",
                          timeout_ms),
              frozen ? "a process in it is in an uninterruptible wait or being traced"
                     : "a cgroup above it is frozen");
}

bool is_frozen(const std::string& directory) {
  const std::optional<std::string> events =
      sys::read_value(sys::FdRef::cwd(), directory + "/cgroup.events");
  return events && parse_events(*events).frozen;
}

}  // namespace tare::cgroup
