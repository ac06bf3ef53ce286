/// What `tare explain` prints: every decision of a Plan as one effect, in the order in which the
/// effects take place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tare {

/// One effect that a container's start will have.
struct Effect {
  std::string_view feature;  ///< "mounts", "seccomp": the file that decides and does it
  std::string text;          ///< what will be done, and the reason where it is not the plain one
  std::string field;         ///< the JSON pointer that asked for it, or empty for a default
};

/// Collects effects; each feature's explain() adds its own.
class Explain {
 public:
  void add(std::string_view feature, std::string text, std::string field = {}) {
    effects_.push_back({feature, std::move(text), std::move(field)});
  }
  const std::vector<Effect>& effects() const noexcept { return effects_; }

 private:
  std::vector<Effect> effects_;
};

}  // namespace tare
