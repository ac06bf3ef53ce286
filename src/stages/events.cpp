// `events`: what a container's cgroup has counted, every so often, and each kill by the OOM killer
// as it happens. Nothing is changed and nothing locked: an observer holds nobody up.
#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <utility>

#include "features/cgroup_stats.hpp"
#include "features/intel_rdt_stats.hpp"
#include "host/host.hpp"
#include "stages/lifecycle.hpp"
#include "state/store.hpp"
#include "sys/cgroup_file.hpp"
#include "sys/stream.hpp"
#include "tare/runtime.hpp"

namespace tare {
namespace stages {
namespace {

using Clock = std::chrono::steady_clock;

Error not_running(const std::string& id) {
  return Error(ErrorKind::state, fmt::format("container with id {} is not running", id));
}

// What statistics are read from.
struct Source {
  const std::string& id;
  sys::FdRef cgroup;
  const ResctrlGroup& group;
  ResctrlLayout resctrl{};
};

std::string stats_line(const Source& source) {
  return fmt::format("{{\"type\":\"stats\",\"id\":\"{}\",\"data\":{}}}\n", source.id,
                     cgroup_stats::as_json(cgroup_stats::read(source.cgroup),
                                           intel_rdt_stats::as_json(source.group, source.resctrl)));
}

std::string oom_line(const std::string& id) {
  return fmt::format("{{\"type\":\"oom\",\"id\":\"{}\"}}\n", id);
}

// When the next statistics are due. A moment that was missed, as the machine slept or the reader
// was slow, is not made up for.
class Ticker {
 public:
  explicit Ticker(std::chrono::nanoseconds interval)
      : interval_(interval), next_(Clock::now() + interval) {}
  int left_ms() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_ - Clock::now()).count();
    return static_cast<int>(std::clamp<long>(left, 0, INT_MAX));
  }
  bool take() {
    const Clock::time_point now = Clock::now();
    if (now < next_) return false;
    next_ = std::max(next_ + interval_, now);
    return true;
  }

 private:
  std::chrono::nanoseconds interval_;
  Clock::time_point next_;
};

// How many processes of the cgroup, and of those below it, the OOM killer has ended: memory.events.
// The kernel wakes up who polls that file when it has changed since it was last read here.
class OomKills {
 public:
  explicit OomKills(sys::FdRef cgroup) : file_(sys::find_file(cgroup, "memory.events")) {
    have_risen();
  }
  // Without the memory controller there is nothing to wait for.
  pollfd watch() const noexcept {
    return {.fd = file_ ? file_->number() : -1, .events = POLLPRI, .revents = 0};
  }
  bool have_risen() {
    const std::optional<std::string> text = file_ ? sys::read_value(*file_) : std::nullopt;
    if (!text) {
      // The controller was taken away: poll(2) would find that file ready for ever.
      file_.reset();
      return false;
    }
    const auto table = cgroup_stats::parse_table(*text, "memory.events");
    const auto found = table.find("oom_kill");
    const std::uint64_t now = found == table.end() ? 0 : found->second;
    return now > std::exchange(seen_, now);
  }

 private:
  std::optional<sys::Fd> file_;
  std::uint64_t seen_ = 0;
};

// init's end is the container's, as for every other command; what else is in the cgroup is on its
// way out then, or was left behind.
void watch(const Source& source, sys::FdRef init, std::chrono::nanoseconds interval,
           const std::function<void(const std::string&)>& give) {
  OomKills kills(source.cgroup);
  Ticker ticker(interval);
  for (;;) {
    std::array<pollfd, 2> watched = {
        {{.fd = init.number(), .events = POLLIN, .revents = 0}, kills.watch()}};
    sys::poll(watched, ticker.left_ms());
    // The kernel counts a kill before the process ends, so that of init itself is seen here.
    if (kills.have_risen()) give(oom_line(source.id));
    if (watched[0].revents != 0) return;
    if (ticker.take()) give(stats_line(source));
  }
}

}  // namespace
}  // namespace stages

void events(const EventsRequest& request, const std::function<void(const std::string&)>& give) {
  const state::Store store(request.global);
  const state::ContainerDirectory directory = store.open(request.id, state::Lock::none);
  const Record record = stages::read_record(directory);
  if (request.interval_ns <= 0) {
    throw Error(ErrorKind::usage, "duration interval must be greater than 0");
  }
  // Held from before anything is read: should the container end, its pid may be another's, but the
  // pidfd is not, and its cgroup stays the one that was opened.
  const std::optional<sys::Fd> init = stages::find_init(directory, record);
  if (!init) throw stages::not_running(request.id);
  stages::require_cgroup(record, "events");
  const std::optional<sys::Fd> cgroup =
      sys::find_directory(sys::FdRef::cwd(), record.cgroup_directory);
  if (!cgroup) throw stages::not_running(request.id);
  stages::Source source{.id = record.id, .cgroup = *cgroup, .group = record.resctrl};
  // Where it is mounted, a container without a group of it need not know.
  if (!record.resctrl.directory.empty()) source.resctrl = probe_host({.resctrl = true}).resctrl;
  if (request.stats_only) {
    give(stages::stats_line(source));
    return;
  }
  stages::watch(source, *init, std::chrono::nanoseconds(request.interval_ns), give);
}

}  // namespace tare
