/// The directories of a checkpoint, and the criu that writes or reads them: what checkpoint and
/// restore share.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "features/criu.hpp"
#include "sys/fd.hpp"
#include "tare/runtime.hpp"

namespace tare::stages {

/// The directories, open.
struct ImagePaths {
  sys::Fd images{};
  sys::Fd work{};
  std::string image_path{};  ///< absolute
  std::string work_path{};   ///< absolute
  bool images_made = false;  ///< the image directory was not there before
};

/// Throws Error(unsupported): criu needs rights over the whole machine.
void require_root(std::string_view command);

/// Makes the directories (0700), with the parents of the first, where missing. Throws
/// Error(system).
ImagePaths make_image_paths(const ImageRequest& request);
/// Opens the image directory, which must be there; makes the other. Throws Error(system).
ImagePaths open_image_paths(const ImageRequest& request);

/// What checkpoint and restore tell criu alike. Throws Error(usage) for words that it does not
/// know.
criu::Options options_of(const ImageRequest& request, const ImagePaths& paths,
                         const std::map<std::string, std::string>& annotations);

/// A criu that was started as our child and waits for requests.
std::unique_ptr<criu::Worker> start_worker(const std::string& program);

}  // namespace tare::stages
