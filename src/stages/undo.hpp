/// Rollback of what a command has made, in reverse order, unless it commits.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace tare::stages {

class Undo {
 public:
  Undo() = default;
  Undo(Undo&& other) noexcept : steps_(std::exchange(other.steps_, {})) {}
  Undo& operator=(Undo&&) = delete;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  /// Runs the steps, last first. A step that fails does not keep the others from running.
  ~Undo();

  void add(std::function<void()> step) { steps_.push_back(std::move(step)); }
  /// Keeps what was made.
  void commit() noexcept { steps_.clear(); }

 private:
  std::vector<std::function<void()>> steps_;
};

}  // namespace tare::stages
