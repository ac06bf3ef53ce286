#include "stages/undo.hpp"

#include <exception>

namespace tare::stages {

Undo::~Undo() {
  while (!steps_.empty()) {
    const std::function<void()> step = std::move(steps_.back());
    steps_.pop_back();
    try {
      step();
    } catch (const std::exception&) {
      // The error that began the rollback is the one to tell of; what could not be undone now is
      // named by the intent, and `delete --force` clears it.
      continue;
    }
  }
}

}  // namespace tare::stages
