// checkpoint: a running container to files, by criu.
//
//   parent   finds out what of the container lies outside of it, and tells criu
//   criu     freezes the cgroup, writes the images, and kills the processes or lets them go on
//
// Nothing is stopped before all that can be wrong with the request has been looked at. Where criu
// fails it lets the processes go on by itself; what it has written is then removed, but for its
// log.

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "features/criu.hpp"
#include "features/criu_options.hpp"
#include "host/host.hpp"
#include "stages/create.hpp"
#include "stages/images.hpp"
#include "stages/lifecycle.hpp"
#include "stages/undo.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace tare {
namespace stages {
namespace {

constexpr char kLog[] = "dump.log";

struct Found {
  state::ContainerDirectory directory;
  Record record;
  Intent intent;
};

Found find_container(const CheckpointRequest& request) {
  const state::Store store(request.global);
  // Held to the end: a second checkpoint at once would stop what the first one writes.
  state::ContainerDirectory directory = store.open(request.id, state::Lock::exclusive);
  Record record = read_record(directory);
  const Status status = observe(directory, record);
  if (status != Status::running && status != Status::paused) {
    throw Error(ErrorKind::state,
                fmt::format("container cannot be checkpointed in {} state", to_string(status)));
  }
  std::optional<Intent> intent = directory.find_intent();
  if (!intent) throw Error(ErrorKind::state, "the container's intent is missing");
  return {std::move(directory), std::move(record), std::move(*intent)};
}

void check_parent(const CheckpointRequest& request, sys::FdRef images) {
  const std::string& parent = request.parent_path;
  if (parent.empty()) return;
  if (parent.starts_with('/')) throw Error(ErrorKind::usage, "--parent-path must be relative");
  in_context([] { return "invalid --parent-path"; },
             [&] { return sys::open_at(images, parent, O_PATH | O_DIRECTORY); });
}

// Looked at first: by the time that it is needed, the container is stopped.
void check_status_fd(const CheckpointRequest& request) {
  if (request.status_fd < 0 || sys::is_writable(sys::FdRef(request.status_fd))) return;
  throw Error(ErrorKind::usage,
              fmt::format("invalid --status-fd argument {}: not writable", request.status_fd));
}

void check_features(const CheckpointRequest& request, criu::Worker& worker) {
  const bool tracks = request.pre_dump || !request.parent_path.empty();
  if (!tracks && !request.image.lazy_pages) return;
  const criu::Features features = worker.features();
  if (tracks && !features.memory_tracking) {
    throw Error(ErrorKind::unsupported, "criu is missing features: MemTrack",
                "the kernel needs CONFIG_MEM_SOFT_DIRTY for --pre-dump and --parent-path");
  }
  if (request.image.lazy_pages && !features.lazy_pages) {
    throw Error(ErrorKind::unsupported, "criu is missing features: LazyPages",
                "the kernel needs userfaultfd with its non-cooperative events");
  }
}

criu::Options options_of(const CheckpointRequest& request, const Found& found,
                         const ImagePaths& paths) {
  const pid_t pid = found.record.init.pid;
  criu::Options options = options_of(request.image, paths, found.record.annotations);
  options.log_file = kLog;
  options.pid = pid;
  options.root = found.record.rootfs;
  options.leave_running = request.leave_running;
  options.tcp_skip_in_flight = request.tcp_skip_in_flight;
  options.link_remap = request.link_remap;
  options.parent_images = request.parent_path;
  // A pre-dump without it could not be built upon: every page would count as changed since.
  options.track_memory = !request.parent_path.empty() || request.pre_dump;
  if (!request.page_server.empty()) {
    std::tie(options.page_server_address, options.page_server_port) =
        criu_options::read_page_server(request.page_server);
  }
  // On a hybrid host criu takes the freezer to be that of cgroup v1, and stops by ptrace instead.
  if (!probe_host({}).cgroup.hybrid) options.freeze_cgroup = found.record.cgroup_directory;
  options.external = criu_options::find_external_namespaces(found.intent.outside, pid);
  if (!request.pre_dump) {
    options.external_mounts = criu_options::find_external_mounts(found.intent.outside, pid);
  }
  return options;
}

void answer(const CheckpointRequest& request, const criu::Notification& notification) {
  if (notification.response.script != "status-ready" || request.status_fd < 0) return;
  // Whoever waits at the other end of a pipe may wait for its end.
  const sys::Fd status(request.status_fd);
  sys::write_all(status, std::string_view("\0", 1));
}

// What was in the image directory before is not this dump's to remove.
void undo_images(const ImagePaths& paths, const std::set<std::string>& before) {
  for (const std::string& name : sys::list_directory(paths.images)) {
    if (before.contains(name) || name.ends_with(".log")) continue;
    sys::remove_file(paths.images, name);
  }
  if (!paths.images_made) return;
  try {
    sys::remove_directory(sys::FdRef::cwd(), paths.image_path);
  } catch (const Error& error) {
    // It holds the log.
    if (error.errno_value() != ENOTEMPTY) throw;
  }
}

void dump(const CheckpointRequest& request, const Found& found, const ImagePaths& paths) {
  check_parent(request, paths.images);
  check_status_fd(request);
  const std::vector<std::string> streams =
      criu_options::find_external_streams(found.intent.outside, found.record.init.pid);
  criu::Options options = options_of(request, found, paths);
  std::copy_if(streams.begin(), streams.end(), std::back_inserter(options.external),
               criu_options::is_file);
  const std::string program = criu::require_program();
  const std::unique_ptr<criu::Worker> worker = start_worker(program);
  worker->require_version();
  check_features(request, *worker);
  if (!request.pre_dump) {
    const sys::Fd file = sys::open_at(paths.images, criu_options::kDescriptorsFile,
                                      O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    sys::write_all(file, criu_options::descriptors_text(streams));
  }
  try {
    worker->request(request.pre_dump ? criu::RequestType::pre_dump : criu::RequestType::dump,
                    options,
                    [&](criu::Notification& notification) { answer(request, notification); });
  } catch (Error& error) {
    criu::quote_log(error, paths.work, kLog, paths.work_path);
    throw;
  }
  // After a pre-dump criu waits for the dump, which would be another call of ours.
  if (!request.pre_dump) worker->finish();
}

}  // namespace
}  // namespace stages

void checkpoint(const CheckpointRequest& request) {
  stages::require_root("checkpoint");
  stages::prepare_own_process();
  const stages::Found found = stages::find_container(request);
  const stages::ImagePaths paths = stages::make_image_paths(request.image);
  const std::vector<std::string> names = sys::list_directory(paths.images);
  stages::Undo undo;
  undo.add([&paths, before = std::set<std::string>(names.begin(), names.end())] {
    stages::undo_images(paths, before);
  });
  stages::dump(request, found, paths);
  undo.commit();
  if (!request.leave_running && !request.pre_dump) {
    stages::destroy(found.directory, found.record);
  }
}

}  // namespace tare
