/// annotations: what the caller notes about a container (config.md, "Annotations"). Kept in the
/// record and told to hooks; those that nobody here knows are left at that. The ones of other
/// runtimes that ask for what a static binary or cgroup v2 cannot do are refused by name.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "spec/reader.hpp"

namespace tare::annotations {

/// Reads `annotations` from the top of config.json. Throws Error(spec), and Error(unsupported) for
/// those that are refused.
std::map<std::string, std::string> read(const spec::Reader& top);

/// The names whose values change what is done, for `tare features`, sorted.
std::vector<std::string> acted_on();

}  // namespace tare::annotations
