#include "cli/image_flags.hpp"

#include "cli/absolute.hpp"

namespace tare::cli {

ImageRequest image_request(const Arguments& arguments) {
  const std::string path = arguments.text("image-path");
  return {
      .image_path = absolute(path.empty() ? "checkpoint" : path),
      .work_path = absolute(arguments.text("work-path")),
      .tcp_established = arguments.is_on("tcp-established"),
      .tcp_close = arguments.is_on("tcp-close"),
      .external_unix_sockets = arguments.is_on("ext-unix-sk"),
      .shell_job = arguments.is_on("shell-job"),
      .file_locks = arguments.is_on("file-locks"),
      .auto_dedup = arguments.is_on("auto-dedup"),
      .lazy_pages = arguments.is_on("lazy-pages"),
      .cgroup_mode = arguments.text("manage-cgroups-mode"),
      .network_lock = arguments.text("network-lock"),
      .empty_namespaces = arguments.texts("empty-ns"),
  };
}

}  // namespace tare::cli
