#include "features/overlay_layers.hpp"

#include <algorithm>
#include <string_view>

namespace tare::overlay_layers {
namespace {

constexpr std::string_view kLowerdir = "lowerdir=";
constexpr std::size_t kLongest = 255;

// Colons separate layers, a second one what holds data only; a backslash takes the meaning of the
// next byte, which one option for each layer has no need of.
std::vector<std::string> options_of(std::string_view layers) {
  std::vector<std::string> options;
  std::string layer;
  bool data_only = false;
  const auto finish = [&] {
    if (!layer.empty()) options.push_back((data_only ? "datadir+=" : "lowerdir+=") + layer);
    layer.clear();
  };
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i] == '\\' && i + 1 < layers.size()) {
      layer += layers[++i];
    } else if (layers[i] == ':') {
      // Without a layer in front this is the second one.
      if (layer.empty()) data_only = true;
      finish();
    } else {
      layer += layers[i];
    }
  }
  finish();
  return options;
}

}  // namespace

void spread(std::vector<std::string>& data) {
  const auto found = std::find_if(data.begin(), data.end(), [](const std::string& option) {
    return option.starts_with(kLowerdir) && option.size() - kLowerdir.size() > kLongest;
  });
  if (found == data.end()) return;
  const std::vector<std::string> options =
      options_of(std::string_view(*found).substr(kLowerdir.size()));
  data.insert(data.erase(found), options.begin(), options.end());
}

}  // namespace tare::overlay_layers
