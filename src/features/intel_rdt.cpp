#include "features/intel_rdt.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "sys/cgroup_file.hpp"
#include "sys/file.hpp"

namespace tare::intel_rdt {
namespace {

constexpr unsigned kDirectoryMode = 0755;
constexpr char kField[] = "/linux/intelRdt";

Error unsupported(std::string text, const std::string& pointer = kField) {
  Error error(ErrorKind::unsupported, std::move(text),
              "mount -t resctrl resctrl /sys/fs/resctrl, on a machine whose processor has it");
  error.set_field(pointer);
  return error;
}

std::string read_clos_id(const spec::Reader& object) {
  const std::optional<spec::Reader> member = object.find("closID");
  if (!member) return "";
  std::string id = member->string();
  // "/" alone is the default class, resctrl's root.
  const bool leaves = id == "." || id == ".." || (id.size() > 1 && id.find('/') != id.npos);
  if (leaves || id.find('\n') != id.npos) {
    throw member->error(fmt::format("invalid intelRdt.ClosID \"{}\"", id));
  }
  return id;
}

void add_line(const spec::Reader& value, Spec& spec) {
  const std::string text = value.string();
  if (text.empty()) return;
  if (text.find('\n') != text.npos) throw value.error("a schema must be one line");
  spec.schemata.push_back({text, value.pointer()});
}

std::optional<std::string> read_optional(const std::string& path) {
  return sys::read_value(sys::FdRef::cwd(), path);
}

// With the kernel's reason, which an errno does not tell.
Error failure(int number, std::string call, const std::string& root, const std::string& pointer) {
  const std::string status = read_optional(root + "/info/last_cmd_status").value_or("");
  const std::string line = status.substr(0, status.find('\n'));
  if (!line.empty() && line != "ok") call += fmt::format(" (last_cmd_status: {})", line);
  Error error = Error::from_errno(number, std::move(call));
  error.set_field(pointer);
  return error;
}

// True when it was made, false when it was there.
bool make_group(const std::string& path, const std::string& root) {
  const int number = sys::try_make_directory(path, kDirectoryMode);
  if (number == 0) return true;
  if (number == EEXIST) return false;
  throw failure(number, "mkdir " + path, root, kField);
}

// All lines in one write: the kernel takes all or none.
void write_schemata(const ResctrlGroup& group, const std::vector<Line>& lines,
                    const std::string& root) {
  if (lines.empty()) return;
  std::string text;
  for (const Line& line : lines) text += line.text + "\n";
  const int number = sys::try_write_value(sys::FdRef::cwd(), group.directory + "/schemata", text);
  if (number == 0) return;
  throw failure(number, fmt::format("intelrdt: write \"{}\" to {}/schemata", text, group.directory),
                root, lines.front().pointer);
}

void compare_schemata(const Plan& plan) {
  const std::string held = read_optional(plan.group.directory + "/schemata").value_or("");
  const std::string text = read_optional(plan.root + "/info/MB/bandwidth_gran").value_or("1");
  unsigned granularity = 1;
  std::from_chars(text.data(), text.data() + text.size(), granularity);
  for (const Line& line : plan.schemata) {
    if (agrees(held, line.text, std::max(granularity, 1U))) continue;
    Error error(ErrorKind::spec,
                fmt::format("\"{}\" is not what {}/schemata has, and the class exists already",
                            line.text, plan.group.directory));
    error.set_field(line.pointer);
    throw error;
  }
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

std::string_view cut(std::string_view& text, char separator) noexcept {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return trimmed(part);
}

std::optional<unsigned long> number_of(std::string_view text, int base) noexcept {
  unsigned long number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// What the line of a file says of one cache, as a number.
std::optional<unsigned long> value_in(std::string_view values, std::string_view id, int base,
                                      unsigned granularity) noexcept {
  while (!values.empty()) {
    std::string_view entry = cut(values, ';');
    if (number_of(cut(entry, '='), 10) != number_of(id, 10)) continue;
    const std::optional<unsigned long> number = number_of(trimmed(entry), base);
    if (!number || granularity <= 1) return number;
    return (*number + granularity - 1) / granularity * granularity;
  }
  return std::nullopt;
}

std::optional<std::string_view> values_in(std::string_view file, std::string_view name) noexcept {
  while (!file.empty()) {
    std::string_view line = cut(file, '\n');
    if (cut(line, ':') == name) return line;
  }
  return std::nullopt;
}

}  // namespace

bool agrees(std::string_view file, std::string_view line, unsigned granularity) noexcept {
  const std::string_view name = cut(line, ':');
  const std::optional<std::string_view> held = values_in(file, name);
  if (!held) return false;
  // Bandwidths are decimal and rounded up by the kernel, masks of caches hexadecimal.
  const bool bandwidth = name == "MB";
  const int base = bandwidth ? 10 : 16;
  const unsigned step = bandwidth ? granularity : 1;
  std::string_view wanted = line;
  while (!wanted.empty()) {
    std::string_view entry = cut(wanted, ';');
    const std::string_view id = entry.substr(0, entry.find('='));
    const std::optional<unsigned long> value = value_in(entry, id, base, step);
    if (!value || value != value_in(*held, id, base, step)) return false;
  }
  return true;
}

Spec read(const spec::Reader& linux_object) {
  Spec spec;
  const std::optional<spec::Reader> found = linux_object.find("intelRdt");
  if (!found) return spec;
  const spec::Reader& object = *found;
  spec.enabled = !object.members().empty();
  spec.clos_id = read_clos_id(object);
  if (!object.string_or("l3CacheSchema", "").empty()) {
    add_line(object.at("l3CacheSchema"), spec);
    spec.l3_pointer = spec.schemata.back().pointer;
  }
  if (const std::string schema = object.string_or("memBwSchema", ""); !schema.empty()) {
    if (!schema.starts_with("MB:")) {
      throw object.at("memBwSchema").error("memBwSchema must start with \"MB:\"");
    }
    add_line(object.at("memBwSchema"), spec);
    spec.bandwidth_pointer = spec.schemata.back().pointer;
  }
  if (const std::optional<spec::Reader> lines = object.find("schemata")) {
    for (const spec::Reader& line : lines->items()) add_line(line, spec);
  }
  spec.monitoring = object.boolean_or("enableMonitoring", false);
  return spec;
}

Plan plan(const Spec& spec, const std::string& id, const Host& host) {
  if (!spec.enabled) return {};
  const ResctrlLayout& resctrl = host.resctrl;
  if (resctrl.mount_point.empty()) {
    throw unsupported("intelRdt is specified in config, but Intel RDT is not enabled");
  }
  if (!spec.l3_pointer.empty() && !resctrl.l3) {
    throw unsupported(
        "intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is not enabled",
        spec.l3_pointer);
  }
  if (!spec.bandwidth_pointer.empty() && !resctrl.bandwidth) {
    throw unsupported(
        "intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not enabled",
        spec.bandwidth_pointer);
  }
  Plan plan{
      .root = resctrl.mount_point, .schemata = spec.schemata, .shared = !spec.clos_id.empty()};
  plan.group.directory = resctrl.mount_point;
  if (spec.clos_id != "/") {
    plan.group.directory += "/" + (spec.clos_id.empty() ? id : spec.clos_id);
  }
  plan.group.own = spec.clos_id.empty();
  if (spec.monitoring) plan.group.monitoring = plan.group.directory + "/mon_groups/" + id;
  return plan;
}

std::vector<std::string> apply_in_parent(const Plan& plan) {
  std::vector<std::string> made;
  if (!plan.enabled()) return made;
  const ResctrlGroup& group = plan.group;
  const auto take_back = [&] {
    for (std::size_t left = made.size(); left-- > 0;) {
      sys::try_remove_directory(sys::FdRef::cwd(), made[left]);
    }
  };
  try {
    const bool there = sys::find_status(sys::FdRef::cwd(), group.directory).has_value();
    if (!there && plan.shared && plan.schemata.empty()) {
      throw failure(ENOENT,
                    "clos dir not accessible (must be pre-created when schemata, l3CacheSchema and "
                    "memBwSchema are empty): stat " +
                        group.directory,
                    plan.root, kField);
    }
    const bool fresh = !there && make_group(group.directory, plan.root);
    if (fresh) made.push_back(group.directory);
    if (plan.shared && !fresh) {
      compare_schemata(plan);
    } else {
      write_schemata(group, plan.schemata, plan.root);
    }
    if (!group.monitoring.empty() && make_group(group.monitoring, plan.root)) {
      made.push_back(group.monitoring);
    }
  } catch (const Error&) {
    take_back();
    throw;
  }
  return made;
}

void add_process(const ResctrlGroup& group, pid_t pid) {
  // First the class: a monitoring group takes only tasks that are in its class.
  for (const std::string& directory : {group.directory, group.monitoring}) {
    if (directory.empty()) continue;
    const int number =
        sys::try_write_value(sys::FdRef::cwd(), directory + "/tasks", fmt::format("{}", pid));
    if (number == 0) continue;
    Error error = Error::from_errno(
        number, fmt::format("intelrdt: write \"{}\" to {}/tasks", pid, directory));
    error.set_field(kField);
    throw error;
  }
}

bool remove(const ResctrlGroup& group) noexcept {
  bool gone = true;
  const auto remove_one = [&gone](const std::string& directory) {
    if (directory.empty()) return;
    const int number = sys::try_remove_directory(sys::FdRef::cwd(), directory);
    gone = gone && (number == 0 || number == ENOENT);
  };
  remove_one(group.monitoring);
  if (group.own) remove_one(group.directory);
  return gone;
}

std::string replace_schemata(const ResctrlGroup& group, const std::vector<Line>& lines,
                             const std::string& root) {
  std::string before = read_optional(group.directory + "/schemata").value_or("");
  write_schemata(group, lines, root);
  return before;
}

void check_update(bool l3, bool bandwidth, const ResctrlGroup& group, const Host& host) {
  if (l3 && !host.resctrl.l3) {
    throw unsupported("Intel RDT/CAT: l3 cache schema is not enabled");
  }
  if (bandwidth && !host.resctrl.bandwidth) {
    throw unsupported("Intel RDT/MBA: memory bandwidth schema is not enabled");
  }
  if ((l3 || bandwidth) && group.directory.empty()) {
    throw Error(ErrorKind::unsupported,
                "updating a non-existent Intel RDT configuration is not supported");
  }
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.enabled()) return;
  out.add("intel_rdt",
          fmt::format("put init into {}{}", plan.group.directory,
                      plan.group.own ? ", which is made for it and removed at delete" : ""),
          kField);
  for (const Line& line : plan.schemata) {
    out.add("intel_rdt",
            fmt::format("{} \"{}\"", plan.shared ? "set, or find set already," : "set", line.text),
            line.pointer);
  }
  if (!plan.group.monitoring.empty()) {
    out.add("intel_rdt", "monitor it in " + plan.group.monitoring,
            std::string(kField) + "/enableMonitoring");
  }
}

}  // namespace tare::intel_rdt
