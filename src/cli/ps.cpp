// ps: ps(1) knows the columns, the cgroup knows the processes.
#include "cli/ps.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "cli/command.hpp"
#include "sys/capture.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 1> kFlags{{
    {.name = "format",
     .letter = 'f',
     .takes = Takes::text,
     .value = "FORMAT",
     .help = "table (default) or json: the process IDs alone"},
}};

// ps(1) aligns its columns by spaces, and only the last can hold any.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) return words;
    line.remove_prefix(start);
    words.push_back(line.substr(0, line.find_first_of(" \t")));
    line.remove_prefix(words.back().size());
  }
}

bool is_among(const std::vector<int>& pids, std::string_view word) {
  const std::optional<unsigned> pid = parse_number(word, 1U << 30U);
  return pid && std::find(pids.begin(), pids.end(), static_cast<int>(*pid)) != pids.end();
}

// An engine may call us without PATH, so ps(1) is where every distribution has it.
std::string output_of_ps(std::vector<std::string> options) {
  if (options.empty()) options = {"-ef"};
  options.insert(options.begin(), "ps");
  for (const char* path : {"/usr/bin/ps", "/bin/ps"}) {
    const std::optional<sys::Captured> captured = sys::capture(path, options);
    if (!captured) continue;
    if (captured->status.shell_code() == 0) return captured->output;
    throw Error(ErrorKind::system,
                fmt::format("exit status {}: {}", captured->status.shell_code(), captured->output));
  }
  throw Error(ErrorKind::system, "exec: \"ps\": executable file not found in $PATH",
              "install procps, or use --format json");
}

int run(const Call& call) {
  const std::string format = call.arguments.text("format");
  if (!format.empty() && format != "table" && format != "json") {
    throw Error(ErrorKind::usage, "invalid format option");
  }
  const std::span<const std::string_view> words = call.arguments.words();
  const std::vector<int> pids = processes(call.global, std::string(words[0]));
  print(format == "json" ? pids_as_json(pids)
                         : lines_of(pids, output_of_ps({words.begin() + 1, words.end()})));
  return 0;
}

}  // namespace

std::string lines_of(const std::vector<int>& pids, std::string_view ps_output) {
  const std::string_view heading = ps_output.substr(0, ps_output.find('\n'));
  const std::vector<std::string_view> titles = words_of(heading);
  const auto title = std::find(titles.begin(), titles.end(), "PID");
  if (title == titles.end()) {
    throw Error(ErrorKind::system, "couldn't find PID field in ps output");
  }
  const auto column = static_cast<std::size_t>(title - titles.begin());
  std::string text = fmt::format("{}\n", heading);
  // The heading is no process: its title under PID is no number.
  for (std::string_view rest = ps_output; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const std::vector<std::string_view> words = words_of(line);
    if (column < words.size() && is_among(pids, words[column])) text += fmt::format("{}\n", line);
  }
  return text;
}

std::string pids_as_json(const std::vector<int>& pids) {
  std::string text;
  for (const int pid : pids) text += fmt::format("{}{}", text.empty() ? "[" : ",", pid);
  return text.empty() ? "[]\n" : text + "]\n";
}

constinit const Command kPs{
    .name = "ps",
    .summary = "list the processes of a container",
    .usage = "<container-id> [options of ps(1)...]",
    .details = "What follows the container's ID is given to ps(1); the default is -ef.",
    .flags = kFlags,
    .order = Order::before_first_word,
    .most_words = kAnyNumber,
    .run = run,
};

}  // namespace tare::cli
