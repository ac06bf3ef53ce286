#include "features/criu_pages.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <cstring>
#include <optional>
#include <protozero/pbf_reader.hpp>

#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::criu_pages {
namespace {

// criu: include/magic.h
constexpr std::uint32_t kImageMagic = 0x54564319;
constexpr std::uint32_t kPagemapMagic = 0x56084025;
// criu: include/pagemap.h, PE_PRESENT
constexpr std::uint32_t kPresent = 1U << 2U;
// The smallest that any machine has: the check is one of at least.
constexpr std::uint64_t kPageBytes = 4096;
// An entry is some 20 bytes and stands for one range of memory.
constexpr std::size_t kMaxPagemap = 256U << 20U;

Error damaged(std::string_view why) {
  return Error(ErrorKind::state, fmt::format("damaged checkpoint: {}", why));
}

// The numbers of an image are those of the machine that wrote it.
std::uint32_t take_number(std::string_view& image) {
  std::uint32_t number = 0;
  if (image.size() < sizeof number) throw damaged("a pagemap is cut short");
  std::memcpy(&number, image.data(), sizeof number);
  image.remove_prefix(sizeof number);
  return number;
}

protozero::pbf_reader take_message(std::string_view& image) {
  const std::size_t size = take_number(image);
  if (image.size() < size) throw damaged("a pagemap is cut short");
  const protozero::pbf_reader message(image.data(), size);
  image.remove_prefix(size);
  return message;
}

// The pages that an entry has in the file.
std::uint64_t present_pages(protozero::pbf_reader entry) {
  std::uint64_t old_count = 0;
  std::optional<std::uint64_t> count;
  bool in_parent = false;
  std::optional<std::uint32_t> flags;
  while (entry.next()) {
    switch (entry.tag()) {
      case 2:
        old_count = entry.get_uint32();
        break;
      case 3:
        in_parent = entry.get_bool();
        break;
      case 4:
        flags = entry.get_uint32();
        break;
      case 5:
        count = entry.get_uint64();
        break;
      default:
        entry.skip();
    }
  }
  // Before it had flags, criu said only what is elsewhere.
  const bool present = flags ? (*flags & kPresent) != 0 : !in_parent;
  return present ? count.value_or(old_count) : 0;
}

void check_one(sys::FdRef images, const std::string& name) {
  const Pagemap map = in_context([&] { return name; },
                                 [&] { return read(sys::read_file(images, name, kMaxPagemap)); });
  if (map.bytes == 0) return;
  const std::string file = fmt::format("pages-{}.img", map.file);
  const std::optional<struct stat> found = sys::find_status(images, file);
  if (!found) throw damaged(file + " is missing");
  const auto size = static_cast<std::uint64_t>(found->st_size);
  if (size < map.bytes) {
    throw damaged(fmt::format("{} has {} of {} bytes", file, size, map.bytes));
  }
}

}  // namespace

Pagemap read(std::string_view image) {
  if (take_number(image) != kImageMagic || take_number(image) != kPagemapMagic) {
    throw damaged("it is no pagemap");
  }
  try {
    Pagemap map;
    protozero::pbf_reader head = take_message(image);
    if (head.next(1)) map.file = head.get_uint32();
    while (!image.empty()) map.bytes += present_pages(take_message(image)) * kPageBytes;
    return map;
  } catch (const protozero::exception& fault) {
    throw damaged(fault.what());
  }
}

void check(sys::FdRef images) {
  for (const std::string& name : sys::list_directory(images)) {
    if (name.starts_with("pagemap-") && name.ends_with(".img")) check_one(images, name);
  }
}

}  // namespace tare::criu_pages
