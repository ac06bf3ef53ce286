/// From a bundle's config.json to a Plan: the part of every start that touches nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "features/all.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// What a bundle's config.json comes to.
struct Bundle {
  Plan plan{};
  std::string oci_version{};
  std::map<std::string, std::string> annotations{};
  std::string process{};  ///< the object `process` as JSON: what exec takes its defaults from
  /// What of the object `linux` holds for every process, as JSON; empty where there is nothing.
  std::string linux_part{};
  /// The pointers of what config.json has and nothing here reads. Only where it was asked for.
  std::vector<std::string> ignored{};
};

/// Reads and plans. Throws Error(spec, unsupported, or system where the file cannot be read).
Bundle load_bundle(const CreateRequest& request, bool list_ignored = false);

}  // namespace tare::stages
