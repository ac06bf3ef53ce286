// exec: one more process in a container. CRI-O calls it in the foreground and registers our pid as
// the process's; the shim and conmon call it detached, with a process file.
#include "cli/exec.hpp"

#include <fmt/core.h>

#include <array>
#include <limits>

#include "cli/absolute.hpp"
#include "cli/command.hpp"
#include "cli/container_flags.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 18> kFlags{{
    {.name = "cwd",
     .takes = Takes::text,
     .value = "PATH",
     .help = "the working directory, in the container"},
    {.name = "env",
     .letter = 'e',
     .takes = Takes::texts,
     .value = "NAME=VALUE",
     .help = "set an environment variable; may be repeated"},
    {.name = "tty", .letter = 't', .help = "give the process a terminal"},
    {.name = "user",
     .letter = 'u',
     .takes = Takes::text,
     .value = "UID[:GID]",
     .help = "the user and group, as numbers"},
    {.name = "additional-gids",
     .letter = 'g',
     .takes = Takes::texts,
     .value = "GID",
     .help = "a supplementary group; may be repeated"},
    {.name = "process",
     .letter = 'p',
     .takes = Takes::text,
     .value = "FILE",
     .help = "take the whole process, as in config.json, from FILE"},
    {.name = "detach", .letter = 'd', .help = "return once the process runs"},
    kPidFileFlag,
    kConsoleSocketFlag,
    kPidfdSocketFlag,
    {.name = "process-label",
     .takes = Takes::text,
     .value = "LABEL",
     .help = "the SELinux label of the process"},
    {.name = "apparmor",
     .takes = Takes::text,
     .value = "PROFILE",
     .help = "the AppArmor profile of the process"},
    {.name = "no-new-privs", .help = "set no_new_privs for the process"},
    {.name = "cap",
     .letter = 'c',
     .takes = Takes::texts,
     .value = "CAP",
     .help = "add a capability; may be repeated"},
    kPreserveFdsFlag,
    kTimingsFlag,
    {.name = "cgroup",
     .takes = Takes::texts,
     .value = "PATH",
     .help = "put the process into this cgroup below the container's own"},
    {.name = "ignore-paused", .help = "start the process in a paused container"},
}};

std::vector<gid_t> read_groups(const std::vector<std::string>& words) {
  std::vector<gid_t> groups;
  for (const std::string& word : words) {
    // The highest number is no group: it is -1, which system calls take for "leave as it is".
    const std::optional<unsigned> group = parse_number(word, std::numeric_limits<gid_t>::max() - 1);
    if (!group) {
      throw Error(ErrorKind::usage,
                  fmt::format("invalid value \"{}\" for flag -additional-gids: expected a group's "
                              "number",
                              word));
    }
    groups.push_back(*group);
  }
  return groups;
}

// runc takes [controller:]path, once for each v1 controller; in one v2 tree there is one path.
std::string read_cgroup(const std::vector<std::string>& words) {
  if (words.empty()) return {};
  if (words.size() > 1) {
    throw Error(ErrorKind::usage, "--cgroup may be given once: cgroup v2 has one tree");
  }
  const std::string& word = words[0];
  const std::size_t colon = word.find(':');
  if (colon != std::string::npos && colon != 0) {
    throw Error(
        ErrorKind::usage,
        fmt::format("invalid --cgroup argument: {} (cgroup v2 has no controllers' trees)", word));
  }
  return word.substr(colon == std::string::npos ? 0 : 1);
}

int run(const Call& call) {
  ExecRequest request = exec_request(call.arguments, call.global);
  request.warn = warn_in(call);
  if (call.log.debug_enabled()) {
    call.log.write(sys::LogLevel::debug, fmt::format("exec in {}", request.id));
  }
  const int code = exec(request);
  if (call.log.debug_enabled()) {
    call.log.write(sys::LogLevel::debug, fmt::format("exec ends with {}", code));
  }
  return code;
}

}  // namespace

ExecRequest exec_request(const Arguments& arguments, const GlobalOptions& global) {
  const std::span<const std::string_view> words = arguments.words();
  ExecRequest request{
      .global = global,
      .id = std::string(words[0]),
      .process_file = absolute(arguments.text("process")),
      .arguments = {words.begin() + 1, words.end()},
      .variables = arguments.texts("env"),
      .additional_gids = read_groups(arguments.texts("additional-gids")),
      .capabilities = arguments.texts("cap"),
      .terminal = arguments.is_on("tty"),
      .no_new_privileges = arguments.is_on("no-new-privs"),
      .detach = arguments.is_on("detach"),
      .ignore_paused = arguments.is_on("ignore-paused"),
      .apparmor = arguments.text("apparmor"),
      .process_label = arguments.text("process-label"),
      .cgroup = read_cgroup(arguments.texts("cgroup")),
      .console_socket = absolute(arguments.text("console-socket")),
      .pidfd_socket = absolute(arguments.text("pidfd-socket")),
      .pid_file = absolute(arguments.text("pid-file")),
      .preserve_fds = preserved_descriptors(arguments),
      .listen_fds = listen_descriptors(),
      .timings = timings_destination(arguments),
  };
  if (const auto directory = arguments.find("cwd"); directory && !directory->empty()) {
    request.directory = std::string(*directory);
  }
  if (const auto user = arguments.find("user"); user && !user->empty()) {
    request.user = std::string(*user);
  }
  if (request.process_file.empty() && request.arguments.empty()) {
    throw Error(ErrorKind::usage, "exec args cannot be empty");
  }
  return request;
}

constinit const Command kExec{
    .name = "exec",
    .summary = "run one more process in a running container",
    .usage = "<container-id> <command> [arguments...] | --process FILE <container-id>",
    .details = "Options stand before the container's ID; what follows it is the command.",
    .flags = kFlags,
    .order = Order::before_first_word,
    .most_words = kAnyNumber,
    .makes = Makes::process,
    .run = run,
};

}  // namespace tare::cli
