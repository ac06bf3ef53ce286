#include "stages/bundle.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>

#include "sys/file.hpp"
#include "sys/heap.hpp"

namespace tare::stages {
namespace {

// Enough for a thousand mounts and the largest of profiles; a bound keeps a mistaken path (a disk
// image, /dev/zero) from filling the memory.
constexpr std::size_t kMaxConfig = 16U << 20U;

std::string read_config(const std::string& bundle) {
  const std::string path = bundle + "/config.json";
  // A FIFO in its place must not hold us.
  const std::optional<sys::Fd> file = sys::find_at(sys::FdRef::cwd(), path, O_RDONLY | O_NONBLOCK);
  if (!file) {
    throw Error(
        ErrorKind::spec,
        fmt::format("JSON specification file {} not found: {}", path, errno_text(ENOENT)),
        "name the bundle's directory with --bundle, or write a config there with `tare spec`");
  }
  const struct stat found = sys::status(*file);
  if (!S_ISREG(found.st_mode)) {
    throw Error(ErrorKind::spec, fmt::format("{}: not a regular file", path));
  }
  // The text, its tree, the Spec and the Plan: of Docker's config, 12 KiB, that comes to eight
  // times more than is there already.
  constexpr off_t kUsual = 4096;
  if (found.st_size > kUsual) sys::make_heap_present(static_cast<std::size_t>(found.st_size) * 8);
  return sys::read_all(*file, kMaxConfig);
}

// The fields that read_process_part reads.
std::string process_part_of_linux(const spec::Reader& top) {
  const std::optional<spec::Reader> linux_object = top.find("linux");
  std::string members;
  if (!linux_object) return members;
  for (const std::string_view name : {"personality", "memoryPolicy"}) {
    const std::optional<spec::Reader> member = linux_object->find(name);
    if (!member) continue;
    members += fmt::format("{}\"{}\":{}", members.empty() ? '{' : ',', name, member->json());
  }
  return members.empty() ? members : members + '}';
}

std::string notify_directory_of(const CreateRequest& request) {
  if (request.notify_socket.empty()) return {};
  return fmt::format("{}/{}/{}", request.global.root, request.id, notify_socket::kDirectory);
}

}  // namespace

Bundle load_bundle(const CreateRequest& request, bool list_ignored) {
  spec::Document document("config.json", read_config(request.bundle));
  if (list_ignored) document.watch();
  Spec spec = read_spec(document.top());
  std::vector<std::string> ignored = document.ignored();
  const PlanOptions options{.id = request.id,
                            .bundle = request.bundle,
                            .no_pivot = request.no_pivot,
                            .no_new_keyring = request.no_new_keyring,
                            .listen_fds = request.listen_fds,
                            .notify_directory = notify_directory_of(request),
                            .cgroup_disabled = request.global.cgroup_disabled,
                            .systemd_cgroup = request.global.systemd_cgroup,
                            .rootless = request.global.rootless,
                            .seccomp_receiver = request.seccomp_receiver};
  const Host host = probe_host(questions_of(spec, options));
  add_from_caller(spec, host, options);
  std::string oci_version = spec.oci_version;
  std::map<std::string, std::string> annotations = spec.annotations;
  return {
      .plan = make_plan(std::move(spec), host, options),
      .oci_version = std::move(oci_version),
      .annotations = std::move(annotations),
      .process = document.top().at("process").json(),
      .linux_part = process_part_of_linux(document.top()),
      .ignored = std::move(ignored),
  };
}

}  // namespace tare::stages
