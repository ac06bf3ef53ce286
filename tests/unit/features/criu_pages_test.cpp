#include "features/criu_pages.hpp"

#include <fcntl.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <protozero/pbf_writer.hpp>

#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::criu_pages {
namespace {

std::string number(std::uint32_t value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string message(const std::string& bytes) {
  return number(static_cast<std::uint32_t>(bytes.size())) + bytes;
}

std::string head(std::uint32_t file) {
  std::string bytes;
  protozero::pbf_writer(bytes).add_uint32(1, file);
  return number(0x54564319) + number(0x56084025) + message(bytes);
}

struct Entry {
  std::uint32_t count = 0;
  int flags = -1;
  int in_parent = -1;
  std::uint64_t long_count = 0;
};

std::string entry(const Entry& wanted) {
  std::string bytes;
  protozero::pbf_writer out(bytes);
  out.add_uint64(1, 0x7fff0000);
  out.add_uint32(2, wanted.count);
  if (wanted.in_parent >= 0) out.add_bool(3, wanted.in_parent != 0);
  if (wanted.flags >= 0) out.add_uint32(4, static_cast<std::uint32_t>(wanted.flags));
  if (wanted.long_count != 0) out.add_uint64(5, wanted.long_count);
  return message(bytes);
}

std::string refusal(const std::string& image) {
  try {
    read(image);
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was refused";
}

}  // namespace

TEST_CASE("criu pages: a pagemap tells how long the file of its pages is", "[criu]") {
  CHECK(read(head(7)) == Pagemap{.file = 7});
  CHECK(read(head(1) + entry({.count = 3, .flags = 4})) == Pagemap{.file = 1, .bytes = 3 * 4096});
  // In the parent's images, or not there before somebody asks.
  CHECK(read(head(1) + entry({.count = 3, .flags = 1}) + entry({.count = 2, .flags = 2})).bytes ==
        0);
  // As older versions have it, and as newer ones count.
  CHECK(read(head(1) + entry({.count = 2}) + entry({.count = 5, .in_parent = 1})).bytes ==
        2 * 4096);
  CHECK(read(head(1) + entry({.count = 1, .flags = 4, .long_count = 6})).bytes == 6 * 4096);
}

TEST_CASE("criu pages: a pagemap that is damaged is an error, wherever it is cut", "[criu]") {
  const std::string whole = head(1) + entry({.count = 3, .flags = 4});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string why = refusal(whole.substr(0, size));
    // Between two messages it is a shorter one.
    if (size != head(1).size()) CHECK(why.starts_with("damaged checkpoint: "));
  }
  CHECK(refusal(number(1) + whole.substr(4)) == "damaged checkpoint: it is no pagemap");
  CHECK(refusal(head(1) + message("\xff\xff\xff")).starts_with("damaged checkpoint: "));
}

TEST_CASE("criu pages: what is missing of the pages is named", "[criu]") {
  char name[] = "/tmp/tare-pages-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const sys::Fd images = sys::open_at(sys::FdRef::cwd(), name, O_RDONLY | O_DIRECTORY);
  const auto write = [&](const std::string& file, const std::string& bytes) {
    const sys::Fd out = sys::open_at(images, file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    sys::write_all(out, bytes);
  };
  const auto why = [&] {
    try {
      check(images);
    } catch (const Error& error) {
      return error.message();
    }
    return std::string();
  };
  CHECK(why().empty());
  write("pagemap-1.img", head(3) + entry({.count = 2, .flags = 4}));
  CHECK(why() == "damaged checkpoint: pages-3.img is missing");
  write("pages-3.img", std::string(8191, 'x'));
  CHECK(why() == "damaged checkpoint: pages-3.img has 8191 of 8192 bytes");
  write("pages-3.img", std::string(8192, 'x'));
  CHECK(why().empty());
  write("pagemap-shmem-9.img", "x");
  CHECK(why() == "pagemap-shmem-9.img: damaged checkpoint: a pagemap is cut short");
  for (const char* file : {"pagemap-1.img", "pages-3.img", "pagemap-shmem-9.img"}) {
    sys::remove_file(images, file);
  }
  sys::remove_directory(sys::FdRef::cwd(), name);
}

}  // namespace tare::criu_pages
