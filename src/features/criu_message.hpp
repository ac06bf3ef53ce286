/// The messages of criu's RPC (criu: images/rpc.proto): what the runtime asks of `criu swrk`, and
/// what it answers. Pure: text to text, by protozero. Fields are numbered as in that file, which
/// criu keeps compatible; none that we don't use is named here.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tare::criu {

/// criu_req_type.
enum class RequestType : int {
  dump = 1,
  restore = 2,
  pre_dump = 4,
  notify = 6,
  feature_check = 9,
  version = 10,
};

/// "DUMP": criu's own name, which callers have seen in messages for years.
std::string_view to_string(RequestType type) noexcept;

/// criu_cg_mode: what criu does about cgroups.
enum class CgroupMode : int { ignore = 0, soft = 3, full = 4, strict = 5, by_default = 6 };

/// criu_network_lock_method; `by_default` is not sent.
enum class NetworkLock : int { by_default = 0, iptables = 1, nftables = 2, skip = 3 };

/// criu_opts, as far as a runtime sets it. A text that is empty and a number that is -1 are not
/// sent.
struct Options {
  int images_directory = -1;  ///< our descriptor; criu opens it again by /proc/PID/fd
  int work_directory = -1;    ///< likewise
  std::string log_file{};     ///< a name in the work directory
  pid_t pid = -1;             ///< whom to dump
  std::string root{};         ///< absolute path of the rootfs, a mount point for a restore
  bool leave_running = false;
  bool tcp_established = false;
  bool tcp_close = false;
  bool tcp_skip_in_flight = false;
  bool external_unix_sockets = false;
  bool shell_job = false;
  bool file_locks = false;
  bool link_remap = false;
  bool track_memory = false;
  bool auto_dedup = false;
  bool lazy_pages = false;
  bool evasive_devices = false;
  bool sibling = false;  ///< rst_sibling: the restored process is our child, as criu is
  std::string parent_images{};
  std::string page_server_address{};
  int page_server_port = -1;
  std::string freeze_cgroup{};  ///< absolute directory
  std::string cgroup_root{};    ///< "/a/b" in the cgroup v2 tree: where what is restored belongs
  CgroupMode cgroup_mode = CgroupMode::by_default;
  NetworkLock network_lock = NetworkLock::by_default;
  std::uint32_t empty_namespaces = 0;  ///< CLONE_NEW* bits
  std::vector<std::string> external{};
  std::vector<std::pair<std::string, std::string>> external_mounts{};    ///< see criu_options.hpp
  std::vector<std::pair<std::string, std::string>> joined_namespaces{};  ///< criu's name, path
  std::vector<std::pair<std::string, int>> inherited{};  ///< key, descriptor in criu
  std::string config_file{};
  std::string lsm_profile{};
  std::string lsm_mount_context{};
};

/// criu_features: what criu and the kernel under it can do.
struct Features {
  bool memory_tracking = false;
  bool lazy_pages = false;
};

/// A dump, pre-dump or restore.
std::string encode(RequestType type, const Options& options);
/// A question, after which criu waits for the next request.
std::string encode_version_question();
/// Likewise; asks for all of Features.
std::string encode_feature_question();
/// The answer to a notification: whether criu may go on.
std::string encode_notified(bool success);

/// criu_resp.
struct Response {
  RequestType type = RequestType::dump;
  bool success = false;
  pid_t pid = -1;        ///< of a notification, or the restored process
  std::string script{};  ///< what a notification is of: "post-dump"
  int error_number = 0;  ///< cr_errno
  unsigned version = 0;  ///< 31701 is 3.17.1
  Features features{};
};

/// Throws Error(system) for what is no such message.
Response decode(std::string_view bytes);

}  // namespace tare::criu
