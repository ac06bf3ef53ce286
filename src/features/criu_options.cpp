#include "features/criu_options.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sys/file.hpp"
#include "sys/mount.hpp"
#include "sys/path.hpp"
#include "tare/error.hpp"

namespace tare::criu_options {
namespace {

using namespaces::Type;

constexpr int kStreams = 3;
constexpr int kMaxPort = 65'535;
// 100,000 mounts, fs.mount-max, of the longest lines that there mostly are.
constexpr std::size_t kMaxMounts = 64U << 20U;
constexpr char kNull[] = "/dev/null";

constexpr std::pair<std::string_view, criu::CgroupMode> kCgroupModes[] = {
    {"", criu::CgroupMode::by_default},
    {"soft", criu::CgroupMode::soft},
    {"full", criu::CgroupMode::full},
    {"strict", criu::CgroupMode::strict},
    {"ignore", criu::CgroupMode::ignore}};

constexpr std::pair<std::string_view, criu::NetworkLock> kNetworkLocks[] = {
    {"", criu::NetworkLock::by_default},
    {"iptables", criu::NetworkLock::iptables},
    {"nftables", criu::NetworkLock::nftables},
    {"skip", criu::NetworkLock::skip}};

template <typename Value, std::size_t size>
Value look_up(const std::pair<std::string_view, Value> (&table)[size], std::string_view word,
              std::string_view flag) {
  const auto found = std::find_if(std::begin(table), std::end(table),
                                  [&](const auto& row) { return row.first == word; });
  if (found != std::end(table)) return found->second;
  throw Error(ErrorKind::usage, fmt::format("invalid {} value: {}", flag, word));
}

Error bad_server() {
  return Error(ErrorKind::usage, "Use --page-server ADDRESS:PORT to specify page server");
}

// The path of a descriptor as the mount namespace that it was opened in has it.
std::string path_of(sys::FdRef fd) {
  return sys::read_link(sys::FdRef::cwd(), fmt::format("/proc/self/fd/{}", fd.number()));
}

void add_masked(const Outside& outside, const sys::Root& root,
                std::vector<std::pair<std::string, std::string>>& found) {
  for (const std::string& path : outside.masked) {
    const std::optional<sys::Fd> place = root.find(path, O_PATH);
    // A directory is hidden by a tmpfs of the container's own, which criu knows how to make again.
    if (!place || S_ISDIR(sys::status(*place).st_mode) || !sys::is_mount_root(*place)) continue;
    found.emplace_back(path_of(*place), kNull);
  }
}

}  // namespace

criu::CgroupMode read_cgroup_mode(std::string_view word) {
  return look_up(kCgroupModes, word, "manage-cgroups-mode");
}

criu::NetworkLock read_network_lock(std::string_view word) {
  return look_up(kNetworkLocks, word, "network-lock");
}

std::pair<std::string, int> read_page_server(std::string_view value) {
  const std::size_t colon = value.rfind(':');
  if (colon == std::string_view::npos) throw bad_server();
  std::string_view address = value.substr(0, colon);
  const std::string_view digits = value.substr(colon + 1);
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  } else if (address.find(':') != std::string_view::npos) {
    throw bad_server();
  }
  if (address.empty() || digits.empty()) throw bad_server();
  int port = 0;
  const char* const end = digits.data() + digits.size();
  const auto [rest, fault] = std::from_chars(digits.data(), end, port);
  if (fault != std::errc() || rest != end || port < 0 || port > kMaxPort) {
    throw Error(ErrorKind::usage, "Invalid port number");
  }
  return {std::string(address), port};
}

std::uint32_t read_empty_namespaces(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name == "network") continue;
    throw Error(ErrorKind::usage, fmt::format("namespace \"{}\" is not supported", name));
  }
  return CLONE_NEWNET;
}

std::string config_file(const std::map<std::string, std::string>& annotations, bool has_own_file) {
  const auto named = annotations.find(std::string(kConfigAnnotation));
  if (named != annotations.end()) return named->second;
  return has_own_file ? kOwnConfigFile : kRuncConfigFile;
}

Outside plan(const mounts::Plan& mounts, const devices::Plan& devices,
             const masked_paths::Plan& masked, const namespaces::Plan& namespaces) {
  Outside outside{.masked = masked.masked};
  for (const mounts::Mount& mount : mounts.mounts) {
    if (mount.kind == mounts::Kind::bind) outside.mounts.push_back(mount.destination);
  }
  if (devices.bind) {
    for (const devices::Device& device : devices.devices) outside.mounts.push_back(device.path);
  }
  for (const namespaces::Entry& entry : namespaces.join) {
    outside.joined |= namespaces::clone_flag(entry.type);
  }
  return outside;
}

// procfs calls a pipe by the inode that fstat gives, so its link need not be read.
std::vector<std::string> own_pipes() {
  std::vector<std::string> pipes(kStreams);
  for (int number = 0; number < kStreams; ++number) {
    const struct stat stream = sys::status(sys::FdRef(number));
    if (!S_ISFIFO(stream.st_mode)) continue;
    pipes[static_cast<std::size_t>(number)] = fmt::format("pipe:[{}]", stream.st_ino);
  }
  return pipes;
}

std::vector<std::pair<std::string, std::string>> find_external_mounts(const Outside& outside,
                                                                      pid_t pid) {
  std::vector<std::pair<std::string, std::string>> found;
  // Through the root that the container has now: in it the destinations are what the kernel says,
  // with every symbolic link of the rootfs, and none of them leads out of it.
  const sys::Root root(
      sys::open_at(sys::FdRef::cwd(), fmt::format("/proc/{}/root", pid), O_PATH | O_DIRECTORY));
  for (const std::string& destination : outside.mounts) {
    // What is no mount any more has been taken away, and what lies there instead is the
    // container's.
    const std::optional<sys::Fd> place = root.find(destination, O_PATH);
    if (place && sys::is_mount_root(*place)) found.emplace_back(path_of(*place), destination);
  }
  add_masked(outside, root, found);
  return found;
}

std::vector<std::string> find_external_namespaces(const Outside& outside, pid_t pid) {
  std::vector<std::string> found;
  // The others are dumped with the processes, and a restore joins them by path.
  for (const Type type : {Type::network, Type::pid}) {
    if ((outside.joined & namespaces::clone_flag(type)) == 0) continue;
    const sys::Fd file = sys::open_at(
        sys::FdRef::cwd(), fmt::format("/proc/{}/ns/{}", pid, criu_name(type)), O_RDONLY);
    found.push_back(
        fmt::format("{}[{}]:{}", criu_name(type), sys::status(file).st_ino, external_name(type)));
  }
  return found;
}

std::string_view external_name(namespaces::Type type) noexcept {
  if (type == Type::network) return "extRootNetNS";
  return type == Type::pid ? "extRootPidNS" : "";
}

std::string_view criu_name(namespaces::Type type) noexcept {
  switch (type) {
    case Type::user:
      return "user";
    case Type::mount:
      return "mnt";
    case Type::pid:
      return "pid";
    case Type::network:
      return "net";
    case Type::ipc:
      return "ipc";
    case Type::uts:
      return "uts";
    case Type::time:
      return "time";
    case Type::cgroup:
      break;
  }
  return "";
}

std::string external_file(std::string_view fdinfo, std::string_view mountinfo, ino_t inode) {
  constexpr std::string_view kKey = "mnt_id:";
  const std::size_t at = fdinfo.find(kKey);
  if (at == std::string_view::npos) return {};
  const char* const end = fdinfo.data() + fdinfo.size();
  const char* const digits =
      std::find_if(fdinfo.data() + at + kKey.size(), end, [](char c) { return c != '\t'; });
  unsigned mount = 0;
  if (std::from_chars(digits, end, mount).ec != std::errc()) return {};
  // Each line begins with the number of its mount.
  const std::string line = fmt::format("{} ", mount);
  if (mountinfo.starts_with(line) || mountinfo.find("\n" + line) != std::string_view::npos) {
    return {};
  }
  return fmt::format("file[{:x}:{:x}]", mount, inode);
}

std::vector<std::string> find_external_streams(const Outside& outside, pid_t pid) {
  std::vector<std::string> streams = outside.pipes;
  streams.resize(kStreams);
  const sys::Fd process =
      sys::open_at(sys::FdRef::cwd(), fmt::format("/proc/{}", pid), O_PATH | O_DIRECTORY);
  const std::string mounts = sys::read_file(process, "mountinfo", kMaxMounts);
  for (int number = 0; number < kStreams; ++number) {
    std::string& stream = streams[static_cast<std::size_t>(number)];
    const std::optional<sys::Fd> file = sys::find_at(process, fmt::format("fd/{}", number), O_PATH);
    if (!file || !S_ISREG(sys::status(*file).st_mode)) continue;
    const std::string info = sys::read_file(process, fmt::format("fdinfo/{}", number));
    const std::string name = external_file(info, mounts, sys::status(*file).st_ino);
    if (!name.empty()) stream = name;
  }
  return streams;
}

bool is_file(std::string_view stream) noexcept {
  return stream.starts_with("file[");
}

std::string descriptors_text(const std::vector<std::string>& streams) {
  return nlohmann::json(streams).dump();
}

std::vector<std::pair<std::string, int>> read_descriptors(std::string_view text) {
  const nlohmann::json list = nlohmann::json::parse(text, nullptr, false);
  if (!list.is_array()) {
    throw Error(ErrorKind::state, fmt::format("damaged {}: no list of JSON", kDescriptorsFile));
  }
  std::vector<std::pair<std::string, int>> found;
  for (int number = 0; number < std::min(kStreams, static_cast<int>(list.size())); ++number) {
    const nlohmann::json& entry = list[static_cast<std::size_t>(number)];
    if (!entry.is_string()) continue;
    const std::string name = entry.get<std::string>();
    if (name.starts_with("pipe:") || is_file(name)) found.emplace_back(name, number);
  }
  return found;
}

}  // namespace tare::criu_options
