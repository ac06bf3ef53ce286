#include "features/id_map.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "sys/command.hpp"
#include "sys/file.hpp"
#include "sys/kernel.hpp"

namespace tare::id_map {
namespace {

// UID_GID_MAP_MAX_EXTENTS of linux/user_namespace.h.
constexpr std::size_t kMaxMappings = 340;
// 2^32 - 1 is -1, "no id", for every call that takes one.
constexpr std::uint64_t kIdLimit = 0xFFFFFFFF;

constexpr std::string_view kUidField = "/linux/uidMappings";
constexpr std::string_view kGidField = "/linux/gidMappings";

// Where newuidmap is on the distributions that have it, NixOS last: callers such as CRI-O and
// podman leave PATH unset.
constexpr std::array kProgramDirectories = {"/usr/bin", "/bin", "/usr/local/bin",
                                            "/run/wrappers/bin"};

bool overlap(std::uint32_t a, std::uint32_t a_size, std::uint32_t b, std::uint32_t b_size) {
  return a < std::uint64_t{b} + b_size && b < std::uint64_t{a} + a_size;
}

Mapping read_mapping(const spec::Reader& item) {
  return {.container_id = item.at("containerID").integer<std::uint32_t>(),
          .host_id = item.at("hostID").integer<std::uint32_t>(),
          .size = item.at("size").integer<std::uint32_t>(1)};
}

Error spec_error(std::string text, std::string_view field) {
  Error error(ErrorKind::spec, "config.json: " + std::move(text));
  error.set_field(std::string(field));
  return error;
}

// The checks and their words are runc's.
void check_new(const Spec& spec) {
  if (spec.uids.empty() && spec.gids.empty()) {
    throw spec_error(
        "user namespaces enabled, but no namespace path to join nor mappings to apply specified",
        kUidField);
  }
  if (spec.uids.empty()) {
    throw spec_error("user namespaces enabled, but no uid mappings found", kUidField);
  }
  if (spec.gids.empty()) {
    throw spec_error("user namespaces enabled, but no gid mappings found", kGidField);
  }
  // Without it nothing that init makes would have an owner: the kernel answers EOVERFLOW.
  if (!to_host(spec.uids, 0)) {
    throw spec_error("user namespaces enabled, but no mapping found for uid 0", kUidField);
  }
  if (!to_host(spec.gids, 0)) {
    throw spec_error("user namespaces enabled, but no mapping found for gid 0", kGidField);
  }
}

// The one map that the kernel lets a caller without CAP_SETUID or CAP_SETGID write
// (user_namespaces(7)).
bool is_own_id(const std::vector<Mapping>& mappings, std::uint32_t own) noexcept {
  return mappings.size() == 1 && mappings[0].size == 1 && mappings[0].host_id == own;
}

std::string shown(const std::vector<Mapping>& mappings) {
  std::string text;
  for (const Mapping& mapping : mappings) {
    text += fmt::format("{}{} from container {}, host {}", text.empty() ? "" : "; ", mapping.size,
                        mapping.container_id, mapping.host_id);
  }
  return text;
}

// What maps ids for a caller who may not, where the administrator has lent them.
struct Program {
  std::string name;
  std::string_view file;
  std::uint32_t own_id;
};

// The caller's own id needs no line.
std::string missing_lines(const Program& program, const std::vector<Mapping>& mappings) {
  std::string lines;
  for (const Mapping& mapping : mappings) {
    if (mapping.host_id == program.own_id && mapping.size == 1) continue;
    lines += fmt::format("{}{}:{}:{}", lines.empty() ? "" : ", ", sys::effective_user(),
                         mapping.host_id, mapping.size);
  }
  return fmt::format("for this {} must have {}", program.file, lines);
}

// The usual places first: they are the system's, and PATH is whoever's.
std::optional<sys::CommandResult> run_found(const std::string& name,
                                            const std::vector<std::string>& arguments) {
  std::vector<std::string> directories(std::begin(kProgramDirectories),
                                       std::end(kProgramDirectories));
  for (std::string& directory : sys::search_path()) directories.push_back(std::move(directory));
  for (const std::string& directory : directories) {
    if (auto result = sys::run_command(directory + "/" + name, arguments)) return result;
  }
  return std::nullopt;
}

void write_through(const Program& program, pid_t pid, const std::vector<Mapping>& mappings) {
  std::vector<std::string> arguments = {std::to_string(pid)};
  for (const Mapping& mapping : mappings) {
    for (const std::uint32_t number : {mapping.container_id, mapping.host_id, mapping.size}) {
      arguments.push_back(std::to_string(number));
    }
  }
  const auto result = run_found(program.name, arguments);
  if (!result) {
    throw Error(ErrorKind::unsupported, fmt::format("{} is not installed", program.name),
                "install the uidmap package (shadow-utils), or map the caller's own id only");
  }
  if (result->status.shell_code() == 0) return;
  std::string said = result->errors;
  if (said.empty()) said = fmt::format("exit status {}", result->status.shell_code());
  if (!said.starts_with(program.name)) said = fmt::format("{}: {}", program.name, said);
  throw Error(ErrorKind::system, fmt::format("{} ({})", said, missing_lines(program, mappings)));
}

void write_map(const char* file, pid_t pid, const std::vector<Mapping>& mappings) {
  const std::string text = to_text(mappings);
  // The kernel takes a map in one write of less than a page, and says EINVAL to more.
  if (text.size() >= sys::page_size()) {
    throw Error(ErrorKind::spec,
                fmt::format("the {} has {} bytes, and the kernel takes less than {}", file,
                            text.size(), sys::page_size()));
  }
  sys::write_value(sys::FdRef::cwd(), fmt::format("/proc/{}/{}", pid, file), text);
}

std::vector<Mapping> sorted(std::vector<Mapping> mappings) {
  std::ranges::sort(mappings, {}, &Mapping::container_id);
  return mappings;
}

std::string read_of_process(pid_t pid, const char* file) {
  return sys::read_file(sys::FdRef::cwd(), fmt::format("/proc/{}/{}", pid, file));
}

// runc's words.
std::vector<Mapping> check_joined_map(pid_t pid, const char* file, std::string_view field,
                                      const std::vector<Mapping>& expected) {
  std::vector<Mapping> found = from_text(read_of_process(pid, file));
  if (!expected.empty() && sorted(found) != sorted(expected)) {
    throw spec_error(
        fmt::format("user namespaces enabled, but both namespace path and non-matching mapping "
                    "specified -- you may only provide one: {} of the namespace is {}",
                    file, found.empty() ? "empty" : shown(found)),
        field);
  }
  if (found.empty() || !to_host(found, 0)) {
    throw spec_error(fmt::format("the user namespace to join does not map root: its {} is {}", file,
                                 found.empty() ? "empty" : shown(found)),
                     field);
  }
  return found;
}

}  // namespace

std::string fault_of(const Mapping& mapping, const std::vector<Mapping>& earlier) {
  if (mapping.size == 0) return "a mapping must have a size of at least 1";
  for (const std::uint64_t first : {mapping.container_id, mapping.host_id}) {
    if (first + mapping.size > kIdLimit) {
      return fmt::format("{} ids from {} on run over the highest, {}", mapping.size, first,
                         kIdLimit - 1);
    }
  }
  for (const Mapping& other : earlier) {
    if (overlap(mapping.container_id, mapping.size, other.container_id, other.size) ||
        overlap(mapping.host_id, mapping.size, other.host_id, other.size)) {
      return "this mapping and an earlier one overlap";
    }
  }
  return {};
}

std::vector<Mapping> read_mappings(const spec::Reader& object, std::string_view key) {
  std::vector<Mapping> mappings;
  const std::optional<spec::Reader> list = object.find(key);
  if (!list) return mappings;
  const std::vector<spec::Reader> items = list->items();
  if (items.size() > kMaxMappings) {
    throw list->error(
        fmt::format("{} mappings, and the kernel takes {} at most", items.size(), kMaxMappings));
  }
  for (const spec::Reader& item : items) {
    const Mapping mapping = read_mapping(item);
    const std::string fault = fault_of(mapping, mappings);
    if (!fault.empty()) throw item.error(fault);
    mappings.push_back(mapping);
  }
  return mappings;
}

void write_maps(pid_t pid, const std::vector<Mapping>& uids, const std::vector<Mapping>& gids) {
  write_map("uid_map", pid, uids);
  write_map("gid_map", pid, gids);
}

Spec read(const spec::Reader& linux_object) {
  return {.uids = read_mappings(linux_object, "uidMappings"),
          .gids = read_mappings(linux_object, "gidMappings")};
}

Plan plan(const Spec& spec, const namespaces::Plan& namespaces, const Host& host) {
  if (!namespaces.has(namespaces::Type::user)) {
    if (host.euid != 0) {
      throw spec_error("rootless container requires user namespaces", "/linux/namespaces");
    }
    if (spec.uids.empty() && spec.gids.empty()) return {};
    throw spec_error(
        "user namespace mappings specified, but user namespace isn't enabled in the config",
        spec.uids.empty() ? kGidField : kUidField);
  }
  Plan plan{.uids = spec.uids, .gids = spec.gids};
  plan.joined = namespaces.joins(namespaces::Type::user);
  if (plan.joined) return plan;
  check_new(spec);
  // Root, of this user namespace or the first one, has both capabilities in it.
  if (host.euid == 0) return plan;
  const bool own_group = is_own_id(spec.gids, host.egid);
  plan.through_helpers = !own_group || !is_own_id(spec.uids, host.euid);
  plan.deny_setgroups = own_group;
  return plan;
}

std::optional<std::uint32_t> to_host(const std::vector<Mapping>& mappings,
                                     std::uint32_t id) noexcept {
  if (mappings.empty()) return id;
  for (const Mapping& mapping : mappings) {
    if (id >= mapping.container_id && id - mapping.container_id < mapping.size) {
      return mapping.host_id + (id - mapping.container_id);
    }
  }
  return std::nullopt;
}

std::string to_text(const std::vector<Mapping>& mappings) {
  std::string text;
  for (const Mapping& mapping : mappings) {
    text += fmt::format("{} {} {}\n", mapping.container_id, mapping.host_id, mapping.size);
  }
  return text;
}

std::vector<Mapping> from_text(std::string_view text) {
  std::vector<Mapping> mappings;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    Mapping mapping;
    const char* at = line.data();
    const char* const end = at + line.size();
    bool whole = true;
    for (std::uint32_t* number : {&mapping.container_id, &mapping.host_id, &mapping.size}) {
      at = std::find_if(at, end, [](char c) { return c != ' '; });
      const auto [next, failure] = std::from_chars(at, end, *number);
      whole = whole && failure == std::errc{};
      at = next;
    }
    if (whole) mappings.push_back(mapping);
  }
  return mappings;
}

void apply_in_parent(const Plan& plan, pid_t pid) {
  // Before gid_map, or the kernel refuses that (CVE-2014-8989: dropping a group could gain access).
  if (plan.deny_setgroups) {
    sys::write_value(sys::FdRef::cwd(), fmt::format("/proc/{}/setgroups", pid), "deny");
  }
  asked_by([] { return std::string(kUidField); },
           [&] {
             if (!plan.through_helpers) return write_map("uid_map", pid, plan.uids);
             write_through({"newuidmap", "/etc/subuid", sys::effective_user()}, pid, plan.uids);
           });
  asked_by([] { return std::string(kGidField); },
           [&] {
             if (!plan.through_helpers) return write_map("gid_map", pid, plan.gids);
             write_through({"newgidmap", "/etc/subgid", sys::effective_group()}, pid, plan.gids);
           });
}

Plan check_joined_in_parent(const Plan& plan, pid_t pid) {
  return {.uids = check_joined_map(pid, "uid_map", kUidField, plan.uids),
          .gids = check_joined_map(pid, "gid_map", kGidField, plan.gids),
          .joined = true,
          .deny_setgroups = read_of_process(pid, "setgroups").starts_with("deny")};
}

void explain(const Plan& plan, Explain& out) {
  if (plan.uids.empty() && plan.gids.empty()) return;
  const std::string_view how = plan.joined ? ", as the joined user namespace must have them"
                               : plan.through_helpers ? ", through newuidmap and newgidmap"
                                                      : "";
  out.add("id_map", fmt::format("map user ids: {}{}", shown(plan.uids), how),
          std::string(kUidField));
  out.add("id_map", fmt::format("map group ids: {}{}", shown(plan.gids), how),
          std::string(kGidField));
  if (plan.deny_setgroups) {
    out.add("id_map", "deny setgroups(2): the kernel lets a plain user map a group at that price");
  }
}

}  // namespace tare::id_map
