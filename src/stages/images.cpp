#include "stages/images.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include "features/criu_options.hpp"
#include "host/host.hpp"
#include "sys/access.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

constexpr mode_t kMode = 0700;

// Gives whether the last directory was made.
bool make_directories(const std::string& path) {
  bool made = false;
  std::size_t end = 0;
  while (end != std::string::npos) {
    end = path.find('/', end + 1);
    made = sys::make_directory(sys::FdRef::cwd(), path.substr(0, end), kMode);
  }
  return made;
}

// Not O_PATH: criu reads what is in it through this descriptor.
sys::Fd open_directory(const std::string& path) {
  return sys::open_at(sys::FdRef::cwd(), path, O_RDONLY | O_DIRECTORY);
}

ImagePaths open_paths(const ImageRequest& request) {
  ImagePaths paths{.image_path = request.image_path, .work_path = request.work_path};
  paths.images = in_context([] { return "image directory"; },
                            [&] { return open_directory(request.image_path); });
  if (paths.work_path.empty()) paths.work_path = paths.image_path;
  paths.work = in_context([] { return "work directory"; },
                          [&] {
                            sys::make_directory(sys::FdRef::cwd(), paths.work_path, kMode);
                            return open_directory(paths.work_path);
                          });
  return paths;
}

}  // namespace

void require_root(std::string_view command) {
  if (!probe_host({}).rootless) return;
  throw Error(ErrorKind::unsupported, fmt::format("{} requires root", command));
}

ImagePaths make_image_paths(const ImageRequest& request) {
  const bool made = make_directories(request.image_path);
  ImagePaths paths = open_paths(request);
  paths.images_made = made;
  return paths;
}

ImagePaths open_image_paths(const ImageRequest& request) {
  return open_paths(request);
}

criu::Options options_of(const ImageRequest& request, const ImagePaths& paths,
                         const std::map<std::string, std::string>& annotations) {
  return {
      .images_directory = paths.images.number(),
      .work_directory = paths.work.number(),
      .tcp_established = request.tcp_established,
      .tcp_close = request.tcp_close,
      .external_unix_sockets = request.external_unix_sockets,
      .shell_job = request.shell_job,
      .file_locks = request.file_locks,
      .auto_dedup = request.auto_dedup,
      .lazy_pages = request.lazy_pages,
      .cgroup_mode = criu_options::read_cgroup_mode(request.cgroup_mode),
      .network_lock = criu_options::read_network_lock(request.network_lock),
      .empty_namespaces = criu_options::read_empty_namespaces(request.empty_namespaces),
      .config_file = criu_options::config_file(
          annotations,
          sys::find_status(sys::FdRef::cwd(), criu_options::kOwnConfigFile).has_value()),
  };
}

std::unique_ptr<criu::Worker> start_worker(const std::string& program) {
  auto [near, far] = sys::socket_pair();
  sys::Child child = sys::spawn({}, [&, &own = far] { return criu::execute(program, own); });
  return std::make_unique<criu::Worker>(std::move(near), std::move(child));
}

}  // namespace tare::stages
