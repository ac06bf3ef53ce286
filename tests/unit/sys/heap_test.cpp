#include "sys/heap.hpp"

#include <sys/mman.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <memory>
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
