/// The layers of an overlay mount: fsconfig(2) takes 255 bytes for a value, mount(2) took a page
/// for all. A lowerdir that is longer becomes one option for each layer, which Linux has since 6.7
/// (filesystems/overlayfs.rst, "Multiple lower layers"). Used by mounts when planning.
#pragma once

#include <string>
#include <vector>

namespace tare::overlay_layers {

/// Replaces a lowerdir that is too long for one value by "lowerdir+=LAYER" and, for what stands
/// after a double colon, "datadir+=LAYER", in their order. Everything else stays.
void spread(std::vector<std::string>& data);

}  // namespace tare::overlay_layers
