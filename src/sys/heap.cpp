#include "sys/heap.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tare::sys {
namespace {

constexpr std::size_t kPage = 4096;

}  // namespace

void* Blocks::take(std::size_t size) noexcept {
  if (size > size_) return nullptr;
  const std::size_t whole = (size + sizeof(std::size_t) + kAlignment - 1) & ~(kAlignment - 1);
  if (whole > end_ - taken_) return nullptr;
  auto* const front = reinterpret_cast<std::size_t*>(memory_ + taken_);
  *front = whole;
  taken_ += whole;
  return front + 1;
}

void* Blocks::take_far(std::size_t size) noexcept {
  if (size > size_) return nullptr;
  const std::size_t whole = kAlignment + ((size + kAlignment - 1) & ~(kAlignment - 1));
  if (whole > end_ - taken_) return nullptr;
  end_ -= whole;
  auto* const block = reinterpret_cast<std::size_t*>(memory_ + end_ + kAlignment);
  *(block - 1) = whole;
  return block;
}

std::size_t Blocks::size_of(const void* block) noexcept {
  return *(static_cast<const std::size_t*>(block) - 1) - sizeof(std::size_t);
}

bool Blocks::has(const void* block) const noexcept {
  return reinterpret_cast<std::uintptr_t>(block) - reinterpret_cast<std::uintptr_t>(memory_) <
         size_;
}

bool Blocks::give_back(void* block) noexcept {
  if (!has(block)) return false;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory_);
  const std::size_t* const front = static_cast<std::size_t*>(block) - 1;
  if (reinterpret_cast<std::uintptr_t>(front) - begin + *front == taken_) taken_ -= *front;
  return true;
}

void Blocks::make_present(std::size_t bytes) const noexcept {
  const std::size_t begin = (taken_ + kPage - 1) & ~(kPage - 1);
  if (begin >= end_) return;
  const std::size_t size = std::min(bytes, end_ - begin) & ~(kPage - 1);
  ::madvise(memory_ + begin, size, MADV_POPULATE_WRITE);  // since Linux 5.14
}

void* allocate(Blocks& blocks, const Library& library, std::size_t size) noexcept {
  // As the C++ library's reserve for exceptions, 72 KiB.
  constexpr std::size_t kLarge = 64U << 10U;
  void* const block = size < kLarge ? blocks.take(size) : blocks.take_far(size);
  return block != nullptr ? block : library.allocate(size);
}

void* allocate_zeroed(Blocks& blocks, const Library& library, std::size_t count,
                      std::size_t size) noexcept {
  std::size_t whole = 0;
  if (__builtin_mul_overflow(count, size, &whole)) {
    errno = ENOMEM;
    return nullptr;
  }
  void* const block = allocate(blocks, library, whole);
  if (block != nullptr) std::memset(block, 0, whole);
  return block;
}

void* resize(Blocks& blocks, const Library& library, void* block, std::size_t size) noexcept {
  if (block == nullptr) return allocate(blocks, library, size);
  if (!blocks.has(block)) return library.resize(block, size);
  const std::size_t had = Blocks::size_of(block);
  if (size <= had) return block;
  void* const larger = allocate(blocks, library, size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, had);
  blocks.give_back(block);
  return larger;
}

void release(Blocks& blocks, const Library& library, void* block) noexcept {
  if (!blocks.give_back(block)) library.release(block);
}

}  // namespace tare::sys

// The sanitizers have an allocator of their own, which sees mistakes in its use.
#if defined(__SANITIZE_ADDRESS__)

void tare::sys::make_heap_present(std::size_t) noexcept {}

#else

// Large uninitialised data, which the psABI of x86-64 has behind all other.
#if defined(__x86_64__)
#define TARE_BEHIND_ALL_DATA __attribute__((section(".lbss")))
#else
#define TARE_BEHIND_ALL_DATA
#endif

namespace {

// More than a start takes with Docker's config; from then on, malloc has its way.
constexpr std::size_t kSize = 512U << 10U;

}  // namespace

alignas(tare::sys::kPage) TARE_BEHIND_ALL_DATA char tare_heap[kSize];

namespace {

// Of the thread, the only one, as the kernel writes to that page in each new process (rseq(2)):
// it is copied anyway.
constinit thread_local tare::sys::Blocks blocks(tare_heap, kSize);

}  // namespace

tare::sys::Blocks& tare::sys::own_blocks() noexcept {
  return blocks;
}

// NOLINTBEGIN(*-no-malloc): nothing else is below these
void* operator new(std::size_t size) {
  if (void* const block = blocks.take(size)) return block;
  void* const block = std::malloc(std::max<std::size_t>(size, 1));
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void operator delete(void* block) noexcept {
  if (!blocks.give_back(block)) std::free(block);
}
// NOLINTEND(*-no-malloc)

void operator delete(void* block, std::size_t) noexcept {
  operator delete(block);
}

void tare::sys::make_heap_present(std::size_t bytes) noexcept {
  blocks.make_present(bytes);
}

#endif
