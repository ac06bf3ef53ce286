// update: new limits for a running container, from flags or from the JSON of linux.resources.
#include "cli/update.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "sys/file.hpp"

namespace tare::cli {
namespace {

using nlohmann::json;

constexpr std::array<Flag, 19> kFlags{{
    {.name = "resources",
     .letter = 'r',
     .takes = Takes::text,
     .value = "FILE",
     .help = "take linux.resources, as in config.json, from FILE, or from standard input (-)"},
    {.name = "blkio-weight",
     .takes = Takes::text,
     .value = "WEIGHT",
     .help = "weight of block IO, 10 to 1000"},
    {.name = "cpu-period",
     .takes = Takes::text,
     .value = "USEC",
     .help = "length of the period that --cpu-quota is of"},
    {.name = "cpu-quota",
     .takes = Takes::text,
     .value = "USEC",
     .help = "CPU time in each period; -1 for no limit"},
    {.name = "cpu-burst",
     .takes = Takes::text,
     .value = "USEC",
     .help = "CPU time that may be saved up beyond the quota"},
    {.name = "cpu-share",
     .takes = Takes::text,
     .value = "SHARES",
     .help = "CPU shares, 2 to 262144"},
    {.name = "cpu-rt-period",
     .takes = Takes::text,
     .value = "USEC",
     .help = "refused: cgroup v2 has no realtime limits"},
    {.name = "cpu-rt-runtime",
     .takes = Takes::text,
     .value = "USEC",
     .help = "refused: cgroup v2 has no realtime limits"},
    {.name = "cpuset-cpus", .takes = Takes::text, .value = "LIST", .help = "CPUs to run on: 0-2,7"},
    {.name = "cpuset-mems",
     .takes = Takes::text,
     .value = "LIST",
     .help = "memory nodes to use: 0-1"},
    {.name = "memory", .takes = Takes::text, .value = "BYTES", .help = "memory limit; -1 for none"},
    {.name = "memory-reservation",
     .takes = Takes::text,
     .value = "BYTES",
     .help = "memory that is protected from reclaim"},
    {.name = "memory-swap",
     .takes = Takes::text,
     .value = "BYTES",
     .help = "limit of memory and swap together; -1 for no limit of swap"},
    {.name = "cpu-idle",
     .takes = Takes::text,
     .value = "0|1",
     .help = "1: run only where nothing else wants the CPU"},
    {.name = "pids-limit",
     .takes = Takes::text,
     .value = "NUMBER",
     .help = "most processes and threads; -1 for no limit"},
    {.name = "l3-cache-schema",
     .takes = Takes::text,
     .value = "SCHEMA",
     .help = "Intel RDT/CAT: a line L3:... of schemata"},
    {.name = "mem-bw-schema",
     .takes = Takes::text,
     .value = "SCHEMA",
     .help = "Intel RDT/MBA: a line MB:... of schemata"},
    {.name = "kernel-memory", .takes = Takes::text},
    {.name = "kernel-memory-tcp", .takes = Takes::text},
}};

// A flag whose number goes to this place of linux.resources.
struct Number {
  std::string_view flag;
  const char* object;
  const char* member;
};

constexpr Number kNumbers[] = {{"cpu-period", "cpu", "period"},
                               {"cpu-quota", "cpu", "quota"},
                               {"cpu-burst", "cpu", "burst"},
                               {"cpu-share", "cpu", "shares"},
                               {"cpu-rt-period", "cpu", "realtimePeriod"},
                               {"cpu-rt-runtime", "cpu", "realtimeRuntime"},
                               {"cpu-idle", "cpu", "idle"},
                               {"pids-limit", "pids", "limit"},
                               {"blkio-weight", "blockIO", "weight"}};

constexpr Number kAmounts[] = {{"memory", "memory", "limit"},
                               {"memory-reservation", "memory", "reservation"},
                               {"memory-swap", "memory", "swap"},
                               {"kernel-memory", "memory", "kernel"},
                               {"kernel-memory-tcp", "memory", "kernelTCP"}};

constexpr Number kLists[] = {{"cpuset-cpus", "cpu", "cpus"}, {"cpuset-mems", "cpu", "mems"}};

Error bad_value(std::string_view flag, std::string_view word) {
  return Error(ErrorKind::usage,
               fmt::format("invalid value for {}: \"{}\" is no number", flag, word));
}

std::optional<std::int64_t> parse_integer(std::string_view word) {
  std::int64_t value = 0;
  const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (fault != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

template <std::size_t N, typename Parse>
void add_all(json& out, const Arguments& arguments, const Number (&table)[N], Parse parse) {
  for (const Number& row : table) {
    const std::optional<std::string_view> word = arguments.find(row.flag);
    if (!word || word->empty()) continue;
    const auto value = parse(*word);
    if (!value) throw bad_value(row.flag, *word);
    out[row.object][row.member] = *value;
  }
}

std::string read_resources(const std::string& path) {
  if (path == "-") return sys::read_all(sys::FdRef(STDIN_FILENO));
  return sys::read_file(sys::FdRef::cwd(), path);
}

int run(const Call& call) {
  UpdateRequest request{
      .global = call.global,
      .id = std::string(call.arguments.words()[0]),
      .l3_cache_schema = call.arguments.text("l3-cache-schema"),
      .memory_bandwidth_schema = call.arguments.text("mem-bw-schema"),
  };
  const std::string file = call.arguments.text("resources");
  // As with runc, limits of a file leave those of the other flags aside.
  request.resources = file.empty() ? resources_of(call.arguments) : read_resources(file);
  if (!file.empty()) request.source = file == "-" ? "standard input" : file;
  if (call.arguments.find("kernel-memory") || call.arguments.find("kernel-memory-tcp")) {
    call.log.write(sys::LogLevel::warning,
                   "Kernel memory settings are ignored and will be removed");
  }
  update(request);
  return 0;
}

}  // namespace

std::optional<std::int64_t> parse_memory(std::string_view word) {
  if (word == "-1") return -1;
  double number = 0;
  const auto [end, fault] =
      std::from_chars(word.data(), word.data() + word.size(), number, std::chars_format::fixed);
  if (fault != std::errc{} || word[0] < '0' || word[0] > '9') return std::nullopt;
  std::string_view rest = word.substr(static_cast<std::size_t>(end - word.data()));
  const auto skip = [&rest](std::string_view letters) {
    if (rest.empty() || letters.find(rest[0]) == std::string_view::npos) return false;
    rest.remove_prefix(1);
    return true;
  };
  skip(" ");
  constexpr std::string_view kUnits = "kmgtpKMGTP";
  const std::size_t unit = rest.empty() ? std::string_view::npos : kUnits.find(rest[0]);
  if (skip(kUnits)) {
    for (std::size_t power = unit % 5 + 1; power > 0; --power) number *= 1024;
    skip("iI");
  }
  skip("bB");
  // 2^63, which a double holds exactly.
  if (!rest.empty() || number >= 9223372036854775808.0) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

std::string resources_of(const Arguments& arguments) {
  json out = json::object();
  add_all(out, arguments, kNumbers, parse_integer);
  add_all(out, arguments, kAmounts, parse_memory);
  add_all(out, arguments, kLists,
          [](std::string_view word) { return std::optional(std::string(word)); });
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

constinit const Command kUpdate{
    .name = "update",
    .summary = "change the limits of a container that is not stopped",
    .usage = "<container-id>",
    .details =
        "All that is given is changed, or nothing. BYTES may end with k, m, g, t or p. With\n"
        "   --resources the limits of the other options are ignored, but not the schemas.",
    .flags = kFlags,
    .run = run,
};

}  // namespace tare::cli
