/// How long the steps of a start take: what `--timings` asks for. Each process keeps its own steps,
/// on one clock; init's come to the parent with Ready, and the parent writes them all once the
/// payload runs. Where nobody asks, a step costs one comparison, and nothing is allocated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace tare::stages {

/// A step, in nanoseconds of sys::now_nanoseconds.
struct Step {
  std::string name{};
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
  bool operator==(const Step&) const = default;
};

/// The steps of one process, one after another without a gap.
class Steps {
 public:
  explicit Steps(bool kept = false) noexcept : kept_(kept) {}

  bool kept() const noexcept { return kept_; }
  /// Ends the step before, where there is one, and begins the next.
  void begin(std::string_view name) {
    if (kept_) note(name);
  }
  /// Ends the last step, and gives them all.
  const std::vector<Step>& finish();
  /// finish() as text for the other process; empty where nothing is kept.
  std::string encode();

 private:
  void note(std::string_view name);
  void end(std::int64_t now_ns) noexcept;

  bool kept_;
  bool open_ = false;  // the last step has not ended
  std::vector<Step> steps_{};
};

/// What encode() gave. It comes from a process that lives in the container: what is no step is left
/// out, and a name has nothing in it that a terminal might take for an order.
std::vector<Step> decode_steps(std::string_view text);

/// Both processes' steps in the trace event format of Chrome, Perfetto and speedscope ("JSON Object
/// Format"), times relative to the first step.
std::string trace_of(const std::vector<Step>& runtime, const std::vector<Step>& init);
/// The same as a table for people, in the order in which the steps began.
std::string table_of(const std::vector<Step>& runtime, const std::vector<Step>& init);

/// The parent's: its steps, init's, and where they are to be written.
class Timings {
 public:
  /// `destination` is a descriptor's number, or a path; empty where nobody asks. The file is made
  /// at once, so that a mistaken path is told before anything is done. Throws Error(system).
  explicit Timings(const std::string& destination);

  Steps steps;               ///< the parent's
  std::vector<Step> init{};  ///< the other process's

  /// Writes them. A table goes to standard output and error, and into a file; a trace to any other
  /// descriptor, and into a file that is called .json. Throws Error(system).
  void write();

 private:
  sys::Fd file_{};
  std::optional<sys::FdRef> lent_{};  // a descriptor that the caller named, and keeps
  bool as_trace_ = false;
};

}  // namespace tare::stages
