// list: every container below the root. One that cannot be read is reported and does not hide the
// rest.
#include "cli/list.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>

#include "cli/command.hpp"
#include "cli/table.hpp"
#include "state/record.hpp"
#include "sys/file.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 2> kFlags{{
    {.name = "format",
     .letter = 'f',
     .takes = Takes::text,
     .value = "FORMAT",
     .help = "table (default) or json"},
    {.name = "quiet", .letter = 'q', .help = "print only the IDs"},
}};

// The host's own, read plainly: name services would load libraries into this static program.
std::string read_passwd() {
  const std::optional<sys::Fd> file = sys::find_at(sys::FdRef::cwd(), "/etc/passwd", O_RDONLY);
  return file ? sys::read_all(*file, std::size_t{16} << 20U) : std::string();
}

// Takes the text up to the next colon off the front.
std::string_view take_field(std::string_view& line) {
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  line.remove_prefix(colon == std::string_view::npos ? line.size() : colon + 1);
  return field;
}

int run(const Call& call) {
  const std::string format = call.arguments.text("format");
  if (!format.empty() && format != "table" && format != "json") {
    throw Error(ErrorKind::usage, "invalid format option");
  }
  const Listing listing = list(call.global);
  for (const auto& [id, error] : listing.unreadable) {
    sys::write_all(
        sys::FdRef(STDERR_FILENO),
        sys::on_one_line(fmt::format("load container {}: {}", id, error.message())) + "\n");
  }
  if (call.arguments.is_on("quiet")) {
    std::string ids;
    for (const State& state : listing.states) ids += state.record.id + "\n";
    print(ids);
  } else if (format == "json") {
    print(listed_as_json(listing.states, read_passwd()));
  } else {
    print(listed_as_table(listing.states, read_passwd()));
  }
  return 0;
}

}  // namespace

std::string owner_name(uid_t uid, std::string_view passwd) {
  // passwd(5): name:password:uid:...
  const std::string number = std::to_string(uid);
  while (!passwd.empty()) {
    std::string_view line = passwd.substr(0, passwd.find('\n'));
    passwd.remove_prefix(std::min(line.size() + 1, passwd.size()));
    const std::string_view name = take_field(line);
    take_field(line);
    if (!name.empty() && take_field(line) == number) return std::string(name);
  }
  return "#" + number;
}

std::string listed_as_table(const std::vector<State>& states, std::string_view passwd) {
  std::vector<std::vector<std::string>> rows{{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
  for (const State& state : states) {
    const Record& record = state.record;
    const pid_t pid = state.status == Status::stopped ? 0 : record.init.pid;
    rows.push_back({record.id, std::to_string(pid), std::string(to_string(state.status)),
                    sys::on_one_line(record.bundle), record.created,
                    owner_name(record.owner, passwd)});
  }
  return as_table(rows);
}

std::string listed_as_json(const std::vector<State>& states, std::string_view passwd) {
  // A slice that nothing was appended to: Go programs decode it as an empty list.
  if (states.empty()) return "null\n";
  std::string text;
  for (const State& state : states) {
    text += text.empty() ? '[' : ',';
    text += state::listed_state(state, owner_name(state.record.owner, passwd));
  }
  return text + "]\n";
}

constinit const Command kList{
    .name = "list",
    .summary = "list the containers",
    .usage = "",
    .flags = kFlags,
    .fewest_words = 0,
    .most_words = 0,
    .run = run,
};

}  // namespace tare::cli
