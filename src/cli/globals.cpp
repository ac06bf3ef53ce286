#include "cli/globals.hpp"

#include <fmt/core.h>

#include <array>
#include <cstdlib>

#include "cli/absolute.hpp"
#include "sys/kernel.hpp"
#include "sys/path.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 9> kFlags{{
    {.name = "root",
     .takes = Takes::text,
     .value = "DIR",
     .help = "where the state of containers is kept; should be on a tmpfs"},
    {.name = "log", .takes = Takes::text, .value = "FILE", .help = "append errors to FILE as well"},
    {.name = "log-format",
     .takes = Takes::text,
     .value = "FORMAT",
     .help = "text (default) or json"},
    {.name = "log-level",
     .takes = Takes::text,
     .value = "LEVEL",
     .help = "error, warning (default) or debug"},
    {.name = "debug", .help = "the same as --log-level debug"},
    {.name = "systemd-cgroup",
     .help = "have systemd make the cgroup; cgroupsPath is then slice:prefix:name"},
    {.name = "cgroup-manager",
     .takes = Takes::text,
     .value = "MANAGER",
     .help = "cgroupfs (default), systemd or disabled"},
    {.name = "rootless",
     .takes = Takes::text,
     .value = "WHEN",
     .help = "true, false or auto (default): do without a cgroup where none can be made"},
    {.name = "version", .letter = 'v', .help = "print the version and exit"},
}};

Error usage(std::string text) {
  return Error(ErrorKind::usage, std::move(text));
}

sys::LogLevel parse_level(std::string_view word) {
  // runtime.md, "Warnings": what is left out of a container is logged unless the caller asks for
  // less.
  if (word.empty() || word == "warning" || word == "warn") return sys::LogLevel::warning;
  if (word == "error") return sys::LogLevel::error;
  if (word == "info") return sys::LogLevel::info;
  if (word == "debug") return sys::LogLevel::debug;
  throw usage(fmt::format("invalid log-level: {}", word));
}

sys::LogFormat parse_format(std::string_view word) {
  if (word.empty() || word == "text") return sys::LogFormat::text;
  if (word == "json") return sys::LogFormat::json;
  throw usage(fmt::format("invalid log-format: {}", word));
}

// crun's flag: podman passes "disabled" where it was called with --cgroups=disabled.
void read_cgroup_manager(std::string_view word, GlobalOptions& options) {
  if (word == "systemd") {
    options.systemd_cgroup = true;
  } else if (word == "disabled") {
    options.cgroup_disabled = true;
  } else if (!word.empty() && word != "cgroupfs") {
    throw usage(fmt::format("unknown cgroup manager: {}", word));
  }
}

// nullopt: to be found out.
std::optional<bool> parse_rootless(std::string_view word) {
  if (word.empty() || word == "auto") return std::nullopt;
  const std::optional<bool> value = parse_boolean(word);
  if (!value)
    throw usage(fmt::format("invalid --rootless: {}: expected true, false or auto", word));
  return value;
}

// An empty root is what a script passes whose variable is not set; runc takes it for "/" too.
std::string read_root(std::string_view given) {
  std::string root = given.empty() ? "/" : sys::clean_path(absolute(given));
  if (root == "/") throw usage("Option --root argument should not be set to /");
  return root;
}

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace

std::span<const Flag> global_flags() noexcept {
  return kFlags;
}

LogOptions read_log_options(const Arguments& globals) {
  LogOptions options{.path = globals.text("log"),
                     .format = parse_format(globals.text("log-format")),
                     .level = parse_level(globals.text("log-level"))};
  if (globals.is_on("debug")) options.level = sys::LogLevel::debug;
  return options;
}

sys::Log open_log(const LogOptions& options) {
  if (options.path.empty()) return sys::Log(options.format, options.level);
  return sys::Log(options.path, options.format, options.level);
}

Caller find_caller() {
  Caller caller{.runtime_directory = variable("XDG_RUNTIME_DIR"), .user_name = variable("USER")};
  // The kernel is asked only where the answer decides.
  if (!caller.runtime_directory) return caller;
  caller.is_root = sys::effective_user() == 0 && sys::in_initial_user_namespace();
  // Root of a user namespace has the runtime directory of whoever made it, unless it has become
  // root for good: runc's rule.
  if (sys::effective_user() != 0) caller.user_name.reset();
  return caller;
}

std::string default_root(const Caller& caller) {
  const std::string directory = caller.runtime_directory.value_or("");
  // The XDG base directory specification: what is relative is invalid, and to be ignored.
  const bool usable = !directory.empty() && directory[0] == '/';
  if (caller.is_root || caller.user_name == "root" || !usable) return "/run/tare";
  return sys::clean_path(directory + "/tare");
}

GlobalOptions read_global_options(const Arguments& globals) {
  GlobalOptions options{.systemd_cgroup = globals.is_on("systemd-cgroup"),
                        .rootless = parse_rootless(globals.text("rootless"))};
  read_cgroup_manager(globals.text("cgroup-manager"), options);
  const std::optional<std::string_view> root = globals.find("root");
  options.root_given = root.has_value();
  options.root = root ? read_root(*root) : default_root(find_caller());
  return options;
}

}  // namespace tare::cli
