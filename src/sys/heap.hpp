/// Where the program's own memory comes from. `operator new` and `operator delete` are replaced for
/// the whole program (C++, [replacement.functions]), and malloc in the binary that is installed
/// (libc_malloc.cpp): it is over in milliseconds, and makes a process meanwhile.
#pragma once

#include <cstddef>

namespace tare::sys {

/// Blocks one behind the other, in memory that somebody else owns. Only the last one can be taken
/// again once it is given back; so what is allocated within a short time lies on few pages, which
/// malloc scatters over all that have room. That counts after a clone, when the first write to a
/// page has the kernel copy it, in either process.
class Blocks {
 public:
  constexpr Blocks(char* memory, std::size_t size) noexcept
      : memory_(memory), size_(size), end_(size), taken_(kAlignment - sizeof(std::size_t)) {}

  /// A block with the alignment of max_align_t; null where there is no room for it.
  void* take(std::size_t size) noexcept;
  /// The same from the other end, for a large block that may never be written to and would have the
  /// others lie far apart. It is not taken again.
  void* take_far(std::size_t size) noexcept;
  /// How much may be written to a block.
  static std::size_t size_of(const void* block) noexcept;
  /// Whether a block is one of these.
  bool has(const void* block) const noexcept;
  /// Gives back a block. False, and nothing is done, where it is none of these.
  bool give_back(void* block) noexcept;
  /// Makes so many bytes of what is taken next present, or fewer at the end.
  void make_present(std::size_t bytes) const noexcept;

 private:
  static constexpr std::size_t kAlignment = alignof(std::max_align_t);

  char* memory_;  // aligned to a page
  std::size_t size_;
  std::size_t end_;    // behind it are blocks from the other end
  std::size_t taken_;  // in front of each block is a number of its size, and so is the next one's
};

/// Where memory comes from that `blocks` have no room for, and goes: functions as malloc(3) has
/// them.
struct Library {
  void* (*allocate)(std::size_t size);
  void* (*resize)(void* block, std::size_t size);
  void (*release)(void* block);
};

/// As malloc, calloc, realloc and free of malloc(3), from `blocks` first.
void* allocate(Blocks& blocks, const Library& library, std::size_t size) noexcept;
void* allocate_zeroed(Blocks& blocks, const Library& library, std::size_t count,
                      std::size_t size) noexcept;
void* resize(Blocks& blocks, const Library& library, void* block, std::size_t size) noexcept;
void release(Blocks& blocks, const Library& library, void* block) noexcept;

/// Those that `operator new` takes from. Not there in a build for the sanitizers.
Blocks& own_blocks() noexcept;

/// How much of the program's memory is present as it begins (libc_start.cpp), in bytes: what `run`
/// of a plain bundle comes to write to.
inline constexpr std::size_t kHeapAtFirst = 40U << 10U;

/// Makes so many bytes of what is allocated next present, by a call in place of a page fault for
/// each page: where more than usual is to come. Fails in silence: the faults come then.
void make_heap_present(std::size_t bytes) noexcept;

}  // namespace tare::sys

/// The first byte of it, which the linker puts behind all other data.
extern "C" __attribute__((visibility("hidden"))) char tare_heap[];
