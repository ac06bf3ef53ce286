#include "stages/timings.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

constexpr int kStandardError = 2;

enum class Process { runtime = 1, init = 2 };  // as trace and table number them

const char* name_of(Process process) {
  return process == Process::runtime ? "runtime" : "init";
}

struct Row {
  Process process;
  const Step* step;
};

std::vector<Row> rows_of(const std::vector<Step>& runtime, const std::vector<Step>& init) {
  std::vector<Row> rows;
  for (const Step& step : runtime) rows.push_back({Process::runtime, &step});
  for (const Step& step : init) rows.push_back({Process::init, &step});
  std::ranges::stable_sort(rows, {}, [](const Row& row) { return row.step->begin_ns; });
  return rows;
}

// The clock may be set in between, and no step takes less than nothing.
std::int64_t since(std::int64_t from_ns, std::int64_t to_ns) {
  return std::max<std::int64_t>(to_ns - from_ns, 0);
}

// Microseconds, the format's unit, without losing the nanoseconds.
std::string microseconds(std::int64_t ns) {
  return fmt::format("{}.{:03}", ns / 1000, ns % 1000);
}

std::optional<std::int64_t> take_number(std::string_view& line) {
  std::int64_t number = 0;
  const auto [rest, fault] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (fault != std::errc() || rest == line.data() + line.size() || *rest != ' ') {
    return std::nullopt;
  }
  line.remove_prefix(static_cast<std::size_t>(rest - line.data()) + 1);
  return number;
}

std::optional<int> descriptor_in(const std::string& destination) {
  int number = 0;
  const char* end = destination.data() + destination.size();
  const auto [rest, fault] = std::from_chars(destination.data(), end, number);
  if (fault != std::errc() || rest != end) return std::nullopt;
  return number;
}

}  // namespace

void Steps::note(std::string_view name) {
  const std::int64_t now_ns = sys::now_nanoseconds();
  end(now_ns);
  steps_.push_back({.name = std::string(name), .begin_ns = now_ns});
  open_ = true;
}

void Steps::end(std::int64_t now_ns) noexcept {
  if (open_) steps_.back().end_ns = now_ns;
  open_ = false;
}

const std::vector<Step>& Steps::finish() {
  if (open_) end(sys::now_nanoseconds());
  return steps_;
}

std::string Steps::encode() {
  std::string text;
  for (const Step& step : finish()) {
    text += fmt::format("{} {} {}\n", step.begin_ns, step.end_ns, step.name);
  }
  return text;
}

std::vector<Step> decode_steps(std::string_view text) {
  std::vector<Step> steps;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    const std::optional<std::int64_t> begin_ns = take_number(line);
    const std::optional<std::int64_t> end_ns = begin_ns ? take_number(line) : std::nullopt;
    if (!end_ns) continue;
    std::string name(line);
    std::ranges::replace_if(
        name, [](char c) { return c < ' ' || c > '~'; }, '?');
    steps.push_back({.name = std::move(name), .begin_ns = *begin_ns, .end_ns = *end_ns});
  }
  return steps;
}

std::string trace_of(const std::vector<Step>& runtime, const std::vector<Step>& init) {
  std::string events;
  for (const Process process : {Process::runtime, Process::init}) {
    events += fmt::format(
        R"({}{{"name":"process_name","ph":"M","pid":{},"tid":0,"args":{{"name":"{}"}}}})",
        events.empty() ? "" : ",\n", static_cast<int>(process), name_of(process));
  }
  const std::vector<Row> rows = rows_of(runtime, init);
  for (const auto& [process, step] : rows) {
    events +=
        fmt::format(",\n{{\"name\":{},\"ph\":\"X\",\"pid\":{},\"tid\":0,\"ts\":{},\"dur\":{}}}",
                    nlohmann::json(step->name).dump(), static_cast<int>(process),
                    microseconds(since(rows.front().step->begin_ns, step->begin_ns)),
                    microseconds(since(step->begin_ns, step->end_ns)));
  }
  return fmt::format("{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{}\n]}}\n", events);
}

std::string table_of(const std::vector<Step>& runtime, const std::vector<Step>& init) {
  std::string text = fmt::format("{:>12}{:>12}  {:<8} step\n", "at us", "for us", "in");
  const std::vector<Row> rows = rows_of(runtime, init);
  for (const auto& [process, step] : rows) {
    text += fmt::format("{:>12}{:>12}  {:<8} {}\n",
                        microseconds(since(rows.front().step->begin_ns, step->begin_ns)),
                        microseconds(since(step->begin_ns, step->end_ns)), name_of(process),
                        step->name);
  }
  return text;
}

Timings::Timings(const std::string& destination) : steps(!destination.empty()) {
  if (destination.empty()) return;
  if (const std::optional<int> number = descriptor_in(destination)) {
    lent_ = sys::FdRef(*number);
    as_trace_ = *number > kStandardError;
    return;
  }
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  file_ = in_context([] { return "timings"; },
                     [&] { return sys::open_at(sys::FdRef::cwd(), destination, kFlags, 0644); });
  as_trace_ = destination.ends_with(".json");
}

void Timings::write() {
  if (!steps.kept()) return;
  const std::vector<Step>& own = steps.finish();
  in_context([] { return "timings"; },
             [&] {
               sys::write_all(lent_ ? *lent_ : file_.ref(),
                              as_trace_ ? trace_of(own, init) : table_of(own, init));
             });
}

}  // namespace tare::stages
