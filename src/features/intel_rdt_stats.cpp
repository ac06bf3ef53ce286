#include "features/intel_rdt_stats.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "sys/cgroup_file.hpp"

namespace tare::intel_rdt_stats {
namespace {

using nlohmann::ordered_json;

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view kSpace = " \t\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// A file of resctrl without the space around; empty where a resource, or a whole group, has none.
std::string text_of(const std::string& path) {
  return std::string(trimmed(sys::read_value(sys::FdRef::cwd(), path).value_or("")));
}

// 0 also for what the kernel says in place of a counter that has none now: "Unavailable", "Error".
std::uint64_t number_of(const std::string& path) {
  const std::string text = text_of(path);
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Numbers and texts that are 0 or empty Go leaves out.
void add_number(ordered_json& object, const char* key, const std::string& path) {
  if (const std::uint64_t number = number_of(path); number != 0) object[key] = number;
}

void add_text(ordered_json& object, const char* key, std::string_view text) {
  if (!text.empty()) object[key] = text;
}

// The kernel aligns the names of resources, so that lines of schemata begin with spaces.
std::vector<std::string> lines_of(const std::string& path) {
  const std::string text = text_of(path);
  std::vector<std::string> lines;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    lines.emplace_back(trimmed(line));
  }
  return lines;
}

// The last line of a resource. With code and data apart there are two of the cache, L3CODE and
// L3DATA, and runc has room for one.
std::string_view schema_of(const std::vector<std::string>& lines, std::string_view resource) {
  std::string_view found;
  for (const std::string& line : lines) {
    if (line.starts_with(resource)) found = line;
  }
  return found;
}

// What the container may use of the cache beside what the root group, which is everybody, may.
void add_cache(ordered_json& out, const std::vector<std::string>& schemata,
               const std::string& root) {
  ordered_json info = ordered_json::object();
  add_text(info, "cbm_mask", text_of(root + "/info/L3/cbm_mask"));
  add_number(info, "min_cbm_bits", root + "/info/L3/min_cbm_bits");
  add_number(info, "num_closids", root + "/info/L3/num_closids");
  out["l3_cache_info"] = std::move(info);
  const std::vector<std::string> whole = lines_of(root + "/schemata");
  add_text(out, "l3_cache_schema_root", schema_of(whole, "L3"));
  add_text(out, "l3_cache_schema", schema_of(schemata, "L3"));
}

void add_bandwidth(ordered_json& out, const std::vector<std::string>& schemata,
                   const std::string& root) {
  ordered_json info = ordered_json::object();
  for (const char* key : {"bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"}) {
    add_number(info, key, root + "/info/MB/" + key);
  }
  out["mem_bw_info"] = std::move(info);
  const std::vector<std::string> whole = lines_of(root + "/schemata");
  add_text(out, "mem_bw_schema_root", schema_of(whole, "MB"));
  add_text(out, "mem_bw_schema", schema_of(schemata, "MB"));
}

// One entry for each domain, such as a socket: mon_data/mon_L3_00 and so on.
void add_monitored(ordered_json& out, const std::string& group, const std::string& root) {
  const std::vector<std::string> lines = lines_of(root + "/info/L3_MON/mon_features");
  const std::set<std::string> features(lines.begin(), lines.end());
  const bool bandwidth =
      features.contains("mbm_total_bytes") || features.contains("mbm_local_bytes");
  const bool occupancy = features.contains("llc_occupancy");
  if (!bandwidth && !occupancy) return;
  const std::optional<sys::Fd> data = sys::find_directory(sys::FdRef::cwd(), group + "/mon_data");
  if (!data) return;
  std::vector<std::string> domains = sys::list_directories(*data);
  // The kernel lists them in no order, and a reader knows them by their place only.
  std::ranges::sort(domains);
  ordered_json bytes = ordered_json::array();
  ordered_json held = ordered_json::array();
  for (const std::string& domain : domains) {
    const std::string path = group + "/mon_data/" + domain;
    bytes.push_back({{"mbm_total_bytes", number_of(path + "/mbm_total_bytes")},
                     {"mbm_local_bytes", number_of(path + "/mbm_local_bytes")}});
    held.push_back({{"llc_occupancy", number_of(path + "/llc_occupancy")}});
  }
  if (bandwidth) out["mbm_stats"] = std::move(bytes);
  if (occupancy) out["cmt_stats"] = std::move(held);
}

}  // namespace

std::string as_json(const ResctrlGroup& group, const ResctrlLayout& resctrl) {
  ordered_json out = ordered_json::object();
  if (group.directory.empty() || resctrl.mount_point.empty()) return out.dump();
  const std::string& root = resctrl.mount_point;
  const std::vector<std::string> schemata = lines_of(group.directory + "/schemata");
  if (resctrl.l3) add_cache(out, schemata, root);
  if (resctrl.bandwidth) add_bandwidth(out, schemata, root);
  if (!schemata.empty()) out["schemata"] = schemata;
  add_monitored(out, group.monitoring.empty() ? group.directory : group.monitoring, root);
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace tare::intel_rdt_stats
