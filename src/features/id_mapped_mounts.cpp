#include "features/id_mapped_mounts.hpp"

#include <fmt/core.h>
#include <linux/mount.h>
#include <linux/sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "sys/file.hpp"
#include "sys/mount.hpp"
#include "sys/namespace.hpp"
#include "sys/process.hpp"

namespace tare::id_mapped_mounts {
namespace {

using namespaces::Type;

std::vector<Line> read_lines(const spec::Reader& mount, std::string_view key) {
  std::vector<Line> lines;
  for (const id_map::Mapping& mapping : id_map::read_mappings(mount, key)) {
    lines.push_back({.mapping = mapping});
  }
  return lines;
}

// What stands before `separator`, which is taken off as well.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// "0-1-10" or "@0-1-10".
std::optional<Line> line_of(std::string_view text) {
  Line line;
  if (text.starts_with('@')) {
    line.relative = true;
    text.remove_prefix(1);
  }
  if (std::count(text.begin(), text.end(), '-') != 2) return std::nullopt;
  id_map::Mapping& mapping = line.mapping;
  for (std::uint32_t* number : {&mapping.container_id, &mapping.host_id, &mapping.size}) {
    const std::string_view part = take(text, '-');
    const char* const end = part.data() + part.size();
    const auto [stopped, failure] = std::from_chars(part.data(), end, *number);
    if (failure != std::errc{} || stopped != end) return std::nullopt;
  }
  return line;
}

// "uids=0-1-10#10-11-10;gids=0-100-10".
void read_text(const spec::Reader& item, std::string_view text, Spec& spec) {
  while (!text.empty()) {
    std::string_view part = take(text, ';');
    const std::string_view key = take(part, '=');
    if (key != "uids" && key != "gids") {
      throw item.error(fmt::format("expected \"uids=\" or \"gids=\", found \"{}\"", key));
    }
    std::vector<Line>& lines = key == "uids" ? spec.uids : spec.gids;
    if (!lines.empty()) {
      throw item.error(fmt::format("{} are given more than once for this mount", key));
    }
    do {
      const std::string_view triple = take(part, '#');
      const std::optional<Line> line = line_of(triple);
      if (!line) {
        throw item.error(
            fmt::format("invalid mapping \"{}\": expected three numbers, FIRST-HOST-SIZE", triple));
      }
      lines.push_back(*line);
    } while (!part.empty());
  }
}

Error bad_mapping(const Line& line, std::string_view fault) {
  return Error(ErrorKind::spec, fmt::format("the mapping {}{}-{}-{}: {}", line.relative ? "@" : "",
                                            line.mapping.container_id, line.mapping.host_id,
                                            line.mapping.size, fault));
}

// crun counts by the first id alone; ids that the container's map sends to different places are an
// error here, as only the first of them would be the right ones.
id_map::Mapping resolve(const Line& line, const std::vector<id_map::Mapping>& container) {
  if (!line.relative) return line.mapping;
  if (container.empty()) {
    throw bad_mapping(line, "relative, and linux has no mappings of a user namespace");
  }
  const std::optional<std::uint32_t> first = id_map::to_host(container, line.mapping.host_id);
  if (!first) throw bad_mapping(line, "relative to an id that the container does not have");
  const std::uint32_t more = line.mapping.size - 1;
  const std::uint64_t last = std::uint64_t{line.mapping.host_id} + more;
  const bool whole =
      line.mapping.size == 0 ||
      (last <= UINT32_MAX &&
       id_map::to_host(container, static_cast<std::uint32_t>(last)) == *first + more);
  if (!whole) throw bad_mapping(line, "crosses a border of the container's own mappings");
  return {.container_id = line.mapping.container_id, .host_id = *first, .size = line.mapping.size};
}

std::vector<id_map::Mapping> resolve_all(const std::vector<Line>& lines,
                                         const std::vector<id_map::Mapping>& container) {
  std::vector<id_map::Mapping> mappings;
  for (const Line& line : lines) {
    const id_map::Mapping mapping = resolve(line, container);
    const std::string fault = id_map::fault_of(mapping, mappings);
    if (!fault.empty()) throw bad_mapping(line, fault);
    mappings.push_back(mapping);
  }
  return mappings;
}

Map map_of(const Spec& spec, const Context& context) {
  if (spec.uids.empty() && spec.gids.empty()) {
    for (const namespaces::Entry& entry : context.namespaces.join) {
      if (entry.type == Type::user) return {.path = entry.path};
    }
    if (context.namespaces.creates(Type::user)) {
      return {.uids = context.id_map.uids, .gids = context.id_map.gids};
    }
  }
  if (spec.uids.empty() || spec.gids.empty()) {
    throw Error(ErrorKind::spec, "id-mapped mounts must have both uid and gid mappings specified",
                "give the mount uidMappings and gidMappings, or the container a user namespace");
  }
  return {.uids = resolve_all(spec.uids, context.id_map.uids),
          .gids = resolve_all(spec.gids, context.id_map.gids)};
}

sys::Fd file_of(pid_t pid, const Map& map) {
  id_map::write_maps(pid, map.uids, map.gids);
  std::optional<sys::Fd> file = sys::open_namespace(fmt::format("/proc/{}/ns/user", pid));
  if (!file) throw Error(ErrorKind::internal, "/proc/PID/ns/user is no namespace file");
  return std::move(*file);
}

// A process that is born into a new user namespace and ends at once. Until it is collected it keeps
// its credentials, and with them the namespace and its files in procfs (the kernel puts them with
// the task): nobody has to wait for anybody.
sys::Fd make_namespace(const Map& map) {
  const sys::Child child = sys::spawn({.namespaces = CLONE_NEWUSER}, [] { return 0; });
  try {
    sys::Fd file = file_of(child.pid, map);
    sys::wait_for(child.pidfd);
    return file;
  } catch (const Error&) {
    sys::wait_for(child.pidfd);
    throw;
  }
}

sys::Fd open_joined(const std::string& path) {
  std::optional<sys::Fd> found = sys::open_namespace(path);
  if (!found) throw Error(ErrorKind::spec, fmt::format("\"{}\" is no namespace file", path));
  if (sys::is_own_namespace(*found, "user")) {
    throw Error(ErrorKind::spec, fmt::format("\"{}\" is the runtime's own user namespace, which "
                                             "maps no id to another",
                                             path));
  }
  return std::move(*found);
}

std::string shown(const std::vector<id_map::Mapping>& mappings) {
  std::string text;
  for (const id_map::Mapping& mapping : mappings) {
    text += fmt::format("{}{}-{}-{}", text.empty() ? "" : "#", mapping.container_id,
                        mapping.host_id, mapping.size);
  }
  return text;
}

}  // namespace

void read_fields(const spec::Reader& mount, Spec& spec) {
  spec.uids = read_lines(mount, "uidMappings");
  spec.gids = read_lines(mount, "gidMappings");
  spec.asked = !spec.uids.empty() || !spec.gids.empty();
}

bool read_word(const spec::Reader& item, std::string_view text, Spec& spec) {
  std::string_view rest = text;
  const std::string_view word = take(rest, '=');
  if (std::find(kWords.begin(), kWords.end(), word) == kWords.end()) return false;
  spec.asked = true;
  spec.recursive = word == kWords[1];
  read_text(item, rest, spec);
  return true;
}

Use plan(const Spec& spec, const Context& context, std::vector<Map>& maps) {
  if (context.rootless) {
    throw Error(ErrorKind::unsupported,
                "id-mapped mounts are not supported for rootless containers",
                "the kernel demands CAP_SYS_ADMIN over the filesystem: run tare as root");
  }
  const Map map = map_of(spec, context);
  const auto found = std::find(maps.begin(), maps.end(), map);
  const Use use{.map = static_cast<std::size_t>(found - maps.begin()), .recursive = spec.recursive};
  if (found == maps.end()) maps.push_back(map);
  return use;
}

void UserNamespaces::apply(const Use& use, sys::FdRef tree) {
  sys::Fd& file = open_.at(use.map);
  const Map& map = maps_.at(use.map);
  in_context([] { return "map the ids of the mount"; },
             [&] {
               if (!file) file = map.path.empty() ? make_namespace(map) : open_joined(map.path);
               try {
                 sys::set_attributes(tree, {.set = MOUNT_ATTR_IDMAP, .user_namespace = file},
                                     use.recursive);
               } catch (Error& error) {
                 if (error.errno_value() == EINVAL) {
                   error.set_hint(
                       "maybe this filesystem, or one mounted below it, does not support "
                       "id-mapped mounts on this kernel");
                 }
                 throw;
               }
             });
}

std::string explain(const Use& use, const std::vector<Map>& maps) {
  const Map& map = maps.at(use.map);
  const std::string_view what = use.recursive ? "ids, of all below as well," : "ids";
  if (!map.path.empty()) return fmt::format(", {} mapped as in {}", what, map.path);
  return fmt::format(", {} mapped: users {}, groups {}", what, shown(map.uids), shown(map.gids));
}

}  // namespace tare::id_mapped_mounts
