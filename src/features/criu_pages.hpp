/// The memory in the images of a checkpoint: whether all of it is there. criu reads what is missing
/// at a file's end again and again (its restorer takes a read of nothing for progress), so a pages
/// file that was cut short would have a restore run for ever. Looked at by the parent, before
/// anything is made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sys/fd.hpp"

namespace tare::criu_pages {

/// What a pagemap says of the file that holds its pages.
struct Pagemap {
  std::uint32_t file = 0;   ///< the number in pages-NUMBER.img
  std::uint64_t bytes = 0;  ///< that the file has at least, with pages of 4 KiB
  bool operator==(const Pagemap&) const = default;
};

/// Reads the text of a pagemap-NUMBER.img (criu: images/pagemap.proto). Pure. Throws Error(state)
/// for one that is damaged.
Pagemap read(std::string_view image);

/// Looks at every pagemap in the directory and at its pages. Throws Error(state) where some are
/// missing, and Error(system).
void check(sys::FdRef images);

}  // namespace tare::criu_pages
