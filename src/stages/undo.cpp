#include "stages/undo.hpp"

#include "tare/error.hpp"

namespace tare::stages {

Undo::~Undo() {
  while (!steps_.empty()) {
    try {
      steps_.back()();
    } catch (const Error&) {
      // The error that began the rollback is the one to tell of; what could not be undone now is named
      // by the intent, and `delete --force` clears it.
    }
    steps_.pop_back();
  }
}

}  // namespace tare::stages
