/// The runtime as functions: what the commands of the binary call, and what a program that embeds
/// tare would. Every function throws Error; a function that fails has left nothing behind.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tare/error.hpp"
#include "tare/record.hpp"

namespace tare {

/// What of the command line holds for every command.
struct GlobalOptions {
  std::string root{};       ///< absolute directory of all containers' state
  bool root_given = false;  ///< --root was on the command line
  bool systemd_cgroup = false;
  bool cgroup_disabled = false;    ///< --cgroup-manager disabled
  std::optional<bool> rootless{};  ///< --rootless; nullopt is auto
};

/// Is given what was left out of a container, or done otherwise than asked, a sentence each.
using Warn = std::function<void(const std::string&)>;

/// What create and run share.
struct CreateRequest {
  GlobalOptions global{};
  std::string id{};
  std::string bundle{};          ///< absolute
  std::string console_socket{};  ///< absolute; empty where there is none
  std::string pidfd_socket{};    ///< absolute; empty where there is none
  std::string pid_file{};        ///< absolute; empty where there is none
  bool no_pivot = false;
  bool no_new_keyring = false;
  int preserve_fds = 0;            ///< descriptors 3 to 3 + n - 1 are the payload's
  std::string seccomp_receiver{};  ///< listenerPath where the config has none
  int listen_fds = 0;              ///< of those, the first so many are sockets of sd_listen_fds(3)
  std::string notify_socket{};     ///< our own $NOTIFY_SOCKET, or empty
  /// --timings: where to write how long each step took, an absolute path or the number of a
  /// descriptor; empty: nowhere.
  std::string timings{};
  Warn warn{};  ///< may be empty
};

struct RunRequest {
  CreateRequest create{};
  bool detach = false;
  bool keep = false;  ///< leave the stopped container behind
  bool no_subreaper = false;
};

struct ExecRequest {
  GlobalOptions global{};
  std::string id{};
  std::string process_file{};  ///< --process; absolute
  std::vector<std::string> arguments{};
  std::optional<std::string> directory{};
  std::vector<std::string> variables{};
  std::optional<std::string> user{};  ///< "UID[:GID]"
  std::vector<gid_t> additional_gids{};
  std::vector<std::string> capabilities{};
  bool terminal = false;
  bool no_new_privileges = false;
  bool detach = false;
  bool ignore_paused = false;
  std::string apparmor{};
  std::string process_label{};
  std::string cgroup{};  ///< --cgroup: a path below the container's cgroup
  std::string console_socket{};
  std::string pidfd_socket{};
  std::string pid_file{};
  int preserve_fds = 0;
  int listen_fds = 0;
  std::string timings{};  ///< as CreateRequest's
  Warn warn{};            ///< may be empty
};

/// What checkpoint and restore share: where the images are, and what criu(8) is told. Words are
/// checked when they are used.
struct ImageRequest {
  std::string image_path{};  ///< absolute
  std::string work_path{};   ///< absolute; empty: the image path. criu's logs
  bool tcp_established = false;
  bool tcp_close = false;
  bool external_unix_sockets = false;
  bool shell_job = false;
  bool file_locks = false;
  bool auto_dedup = false;
  bool lazy_pages = false;
  std::string cgroup_mode{};                    ///< --manage-cgroups-mode
  std::string network_lock{};                   ///< --network-lock
  std::vector<std::string> empty_namespaces{};  ///< --empty-ns
};

struct CheckpointRequest {
  GlobalOptions global{};
  std::string id{};
  ImageRequest image{};
  std::string parent_path{};  ///< of earlier images, relative to the image path
  bool leave_running = false;
  bool pre_dump = false;
  bool link_remap = false;
  bool tcp_skip_in_flight = false;
  std::string page_server{};  ///< "ADDRESS:PORT"
  int status_fd = -1;         ///< is written a zero byte when lazy pages can be had
};

struct RestoreRequest {
  CreateRequest create{};
  ImageRequest image{};
  bool detach = false;
  bool no_subreaper = false;
  std::string lsm_profile{};  ///< "TYPE:NAME"
  std::string lsm_mount_context{};
};

/// New limits for a container.
struct UpdateRequest {
  GlobalOptions global{};
  std::string id{};
  std::string source = "resources";  ///< what errors call the text: a file's name
  std::string resources = "{}";      ///< linux.resources as JSON; what it does not name stays
  std::string l3_cache_schema{};
  std::string memory_bandwidth_schema{};
};

/// What is to be told of a container.
struct EventsRequest {
  GlobalOptions global{};
  std::string id{};
  std::int64_t interval_ns = 0;  ///< between two statistics; more than 0
  bool stats_only = false;       ///< statistics once, at once, and nothing else
};

/// Makes the container; its process waits at the start gate.
void create(const CreateRequest& request);
/// Lets the process of a created container go, and runs the poststart hooks. With our own
/// $NOTIFY_SOCKET, waits until the container has said READY= and passes that on.
void start(const GlobalOptions& global, const std::string& id,
           const std::string& notify_socket = {});
/// create and start; unless detached, attends the process and gives its exit code (128 + signal).
int run(const RunRequest& request);
/// Runs a further process in a container; unless detached, gives its exit code (128 + signal).
int exec(const ExecRequest& request);
/// Writes a running container to files. Unless it is left running, or only its memory is written
/// ahead (pre_dump), its processes end and it is deleted. One that cannot be written runs on.
void checkpoint(const CheckpointRequest& request);
/// Makes a container that runs on from such files; unless detached, attends its process and gives
/// the exit code (128 + signal).
int restore(const RestoreRequest& request);
/// Sends a signal to the container's init; with `all`, an ended container is no error.
void kill(const GlobalOptions& global, const std::string& id, int signal, bool all);
/// Removes a stopped container (created ones are killed first); with `force`, any, or none.
void remove(const GlobalOptions& global, const std::string& id, bool force);
void pause(const GlobalOptions& global, const std::string& id);
void resume(const GlobalOptions& global, const std::string& id);
/// Mounts what `file`, a JSON list in the form of config.json's `mounts`, asks for in a container
/// that lives; all of it or nothing.
void add_mounts(const GlobalOptions& global, const std::string& id, const std::string& file);
/// Detaches what is mounted in the container at each `destination` of such a list, the rest of
/// which does not matter. Nothing is detached unless all of them are mount points.
void remove_mounts(const GlobalOptions& global, const std::string& id, const std::string& file);
/// Changes the limits of a container that is not stopped: all that the request names, or none.
void update(const UpdateRequest& request);
/// The record and status of one container. Error(state) "container does not exist".
State query(const GlobalOptions& global, const std::string& id);

/// Every container below the root, by id, and the ones whose record cannot be read, with why.
struct Listing {
  std::vector<State> states{};
  std::vector<std::pair<std::string, Error>> unreadable{};
};
/// Lists every container, each as query() gives it. Throws Error only where the root cannot be
/// read.
Listing list(const GlobalOptions& global);
/// The pids of the container's processes, as this process's pid namespace numbers them.
std::vector<int> processes(const GlobalOptions& global, const std::string& id);
/// Gives each event of a container that is not stopped, as one line of JSON with its newline:
/// statistics of its cgroup, and kills by the OOM killer. Returns when the container ends, or after
/// the statistics where those are all. Throws also what `give` throws.
void events(const EventsRequest& request, const std::function<void(const std::string&)>& give);

/// The plan for a bundle, as text or as JSON; nothing is touched and no privilege is needed.
std::string explain(const CreateRequest& request, bool as_json);
/// What this version supports, as runtime-spec's features structure.
std::string features_document();
/// A config.json to start from, as `spec` writes it.
std::string example_config(bool rootless);

}  // namespace tare
