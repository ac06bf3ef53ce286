#include "sys/heap.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

using namespace tare::sys;  // NOLINT(google-build-using-namespace)

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kPages = 4;

struct Memory {
  Memory()
      : at(static_cast<char*>(::mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
  ~Memory() { ::munmap(at, kPages * kPage); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Which of its pages are there (mincore(2)).
  std::vector<bool> present() const {
    std::array<unsigned char, kPages> seen{};
    REQUIRE(::mincore(at, kPages * kPage, seen.data()) == 0);
    std::vector<bool> out;
    for (const unsigned char page : seen) out.push_back((page & 1U) != 0);
    return out;
  }

  char* at;
};

}  // namespace

TEST_CASE("heap: blocks lie one behind the other, as aligned as any type may ask", "[heap]") {
  const Memory memory;
  Blocks blocks(memory.at, kPages * kPage);
  const char* end = memory.at;
  for (const std::size_t size : {1U, 8U, 24U, 25U, 100U, 0U, 4000U, 16U}) {
    auto* const block = static_cast<char*>(blocks.take(size));
    REQUIRE(block != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t) == 0);
    CHECK(block > end);
    std::memset(block, 0xff, size);
    end = block + size;
  }
  CHECK(end < memory.at + 4096 + 512);
}

TEST_CASE("heap: the last block can be taken again, and then the one before it", "[heap]") {
  const Memory memory;
  Blocks blocks(memory.at, kPages * kPage);
  void* const first = blocks.take(10);
  void* const second = blocks.take(200);
  void* const third = blocks.take(3000);
  CHECK(blocks.give_back(third));
  CHECK(blocks.take(3000) == third);
  CHECK(blocks.give_back(third));
  CHECK(blocks.give_back(second));
  CHECK(blocks.give_back(first));
  CHECK(blocks.take(1) == first);
}

TEST_CASE("heap: a block that is not the last one stays taken", "[heap]") {
  const Memory memory;
  Blocks blocks(memory.at, kPages * kPage);
  void* const first = blocks.take(10);
  void* const second = blocks.take(10);
  CHECK(blocks.give_back(first));
  CHECK(blocks.take(10) > second);
}

TEST_CASE("heap: what has no room is refused, and costs none", "[heap]") {
  const Memory memory;
  Blocks blocks(memory.at, kPage);
  CHECK(blocks.take(kPage) == nullptr);
  CHECK(blocks.take(SIZE_MAX) == nullptr);
  CHECK(blocks.take(SIZE_MAX - 16) == nullptr);
  void* const whole = blocks.take(kPage - 32);
  CHECK(whole == memory.at + 16);
  CHECK(blocks.take(0) == nullptr);
  CHECK(blocks.give_back(whole));
  CHECK(blocks.take(kPage - 32) == whole);
}

TEST_CASE("heap: what comes from elsewhere is none of its blocks", "[heap]") {
  const Memory memory;
  Blocks blocks(memory.at, kPage);
  void* const only = blocks.take(1);
  int other = 0;
  CHECK_FALSE(blocks.give_back(&other));
  CHECK_FALSE(blocks.give_back(nullptr));
  CHECK_FALSE(blocks.give_back(memory.at + kPage));
  CHECK(blocks.give_back(only));
}

TEST_CASE("heap: a block from the other end leaves the others where they are", "[heap]") {
  const Memory memory;
  Blocks blocks(memory.at, kPages * kPage);
  void* const first = blocks.take(10);
  auto* const far = static_cast<char*>(blocks.take_far(3 * kPage + 1));
  CHECK(far == memory.at + kPage - 16);
  CHECK(Blocks::size_of(far) >= 3 * kPage + 1);
  CHECK(blocks.has(far));
  CHECK(blocks.take(10) == static_cast<char*>(first) + 32);
  CHECK(blocks.take(kPage - 96) == nullptr);
  CHECK(blocks.take_far(kPage - 96) == nullptr);
  CHECK(blocks.take_far(SIZE_MAX) == nullptr);
  blocks.make_present(kPages * kPage);
  CHECK_FALSE(memory.present()[2]);
  CHECK(blocks.give_back(far));
  CHECK(blocks.take(kPage) == nullptr);
}

TEST_CASE("heap: a block has the size that it was taken with, at least", "[heap]") {
  const Memory memory;
  Blocks blocks(memory.at, kPages * kPage);
  for (const std::size_t size : {1U, 8U, 24U, 25U, 100U}) {
    CHECK(Blocks::size_of(blocks.take(size)) >= size);
  }
}

namespace {

// A C library that counts how often it is asked.
struct Asked {
  int allocate = 0;
  int resize = 0;
  int release = 0;
};
Asked asked;  // NOLINT(*-avoid-non-const-global-variables): functions have nothing else to tell by

constexpr Library kLibrary{.allocate =
                               [](std::size_t size) {
                                 ++asked.allocate;
                                 return std::malloc(size);  // NOLINT(*-no-malloc)
                               },
                           .resize =
                               [](void* block, std::size_t size) {
                                 ++asked.resize;
                                 return std::realloc(block, size);  // NOLINT(*-no-malloc)
                               },
                           .release =
                               [](void* block) {
                                 ++asked.release;
                                 std::free(block);  // NOLINT(*-no-malloc)
                               }};

}  // namespace

TEST_CASE("heap: the C library is asked for what has no room, and for that alone", "[heap]") {
  asked = {};
  const Memory memory;
  Blocks blocks(memory.at, kPages * kPage);
  void* const block = allocate(blocks, kLibrary, 100);
  CHECK(blocks.has(block));
  void* const large = allocate(blocks, kLibrary, 64U << 10U);
  REQUIRE(large != nullptr);
  CHECK_FALSE(blocks.has(large));
  CHECK(asked.allocate == 1);
  void* const larger = resize(blocks, kLibrary, large, 65U << 10U);
  CHECK(asked.resize == 1);
  release(blocks, kLibrary, larger);
  release(blocks, kLibrary, block);
  release(blocks, kLibrary, nullptr);
  CHECK(asked.release == 2);
  CHECK(allocate(blocks, kLibrary, 100) == block);
}

TEST_CASE("heap: a block that grows keeps what is in it", "[heap]") {
  asked = {};
  const Memory memory;
  Blocks blocks(memory.at, kPages * kPage);
  auto* const block = static_cast<char*>(resize(blocks, kLibrary, nullptr, 20));
  std::memcpy(block, "nineteen characters", 20);
  CHECK(resize(blocks, kLibrary, block, 10) == block);
  auto* const larger = static_cast<char*>(resize(blocks, kLibrary, block, 200));
  CHECK(larger != block);
  CHECK(std::string_view(larger) == "nineteen characters");
  // To where there is more room than is left here.
  auto* const largest = static_cast<char*>(resize(blocks, kLibrary, larger, kPages * kPage));
  CHECK_FALSE(blocks.has(largest));
  CHECK(std::string_view(largest) == "nineteen characters");
  release(blocks, kLibrary, largest);
  CHECK(asked.allocate == 1);
  CHECK(asked.release == 1);
}

TEST_CASE("heap: zeroed memory is that where there was something else before", "[heap]") {
  asked = {};
  const Memory memory;
  Blocks blocks(memory.at, kPages * kPage);
  void* const before = blocks.take(96);
  std::memset(before, 0xff, 96);
  blocks.give_back(before);
  const auto* const block = static_cast<char*>(allocate_zeroed(blocks, kLibrary, 12, 8));
  CHECK(block == before);
  CHECK(std::all_of(block, block + 96, [](char byte) { return byte == 0; }));
  errno = 0;
  CHECK(allocate_zeroed(blocks, kLibrary, SIZE_MAX / 2, 3) == nullptr);
  CHECK(errno == ENOMEM);
  CHECK(asked.allocate == 0);
}

TEST_CASE("heap: the pages that are taken next are made present", "[heap]") {
  const Memory memory;
  Blocks blocks(memory.at, kPages * kPage);
  REQUIRE(blocks.take(100) != nullptr);
  blocks.make_present(2 * kPage);
  CHECK(memory.present() == std::vector<bool>{true, true, true, false});
  blocks.make_present(100 * kPage);
  CHECK(memory.present() == std::vector<bool>{true, true, true, true});
}

TEST_CASE("heap: the program's own memory gives more than its first piece has", "[heap]") {
  constexpr std::size_t kBlock = 1000;
  std::vector<std::unique_ptr<char[]>> blocks;
  for (std::size_t number = 0; number < 1000; ++number) {
    blocks.push_back(std::make_unique<char[]>(kBlock));
    std::memset(blocks.back().get(), static_cast<int>(number % 100), kBlock);
  }
  for (std::size_t number = 0; number < blocks.size(); number += 2) blocks[number].reset();
  make_heap_present(1U << 20U);
  for (std::size_t number = 1; number < blocks.size(); number += 2) {
    CHECK(blocks[number][0] == static_cast<char>(number % 100));
    CHECK(blocks[number][kBlock - 1] == static_cast<char>(number % 100));
  }
}
