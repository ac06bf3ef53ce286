// `tare explain`: the Plan of a bundle, as text or as JSON. It goes through the same reading and
// planning as create and stops where create would first touch something.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "features/all.hpp"
#include "stages/bundle.hpp"
#include "tare/runtime.hpp"

namespace tare {
namespace {

std::string as_text(const Explain& explain) {
  std::size_t width = 0;
  for (const Effect& effect : explain.effects()) width = std::max(width, effect.feature.size());
  std::string out;
  for (const Effect& effect : explain.effects()) {
    out += fmt::format("{:<{}}  {}", effect.feature, width, effect.text);
    if (!effect.field.empty()) out += fmt::format("  ({})", effect.field);
    out += '\n';
  }
  return out;
}

std::string as_json_text(const Explain& explain) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const Effect& effect : explain.effects()) {
    nlohmann::ordered_json entry = {{"feature", effect.feature}, {"effect", effect.text}};
    if (!effect.field.empty()) entry["field"] = effect.field;
    out.push_back(std::move(entry));
  }
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string explain(const CreateRequest& request, bool as_json) {
  const stages::Bundle bundle = stages::load_bundle(request, true);
  Explain effects = explain_all(bundle.plan);
  for (const std::string& pointer : bundle.ignored) {
    effects.add("ignored", "not known, or for another platform", pointer);
  }
  return as_json ? as_json_text(effects) : as_text(effects);
}

}  // namespace tare
