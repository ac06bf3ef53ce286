// malloc and its kin in the whole program, the C library and others' included: from the blocks that
// `operator new` takes from (heap.hpp), and only where these have no room from the library's own.
// It took that from brk(2) as the program began: a mapping with page tables of its own, which are
// copied for each child, for the sake of a list of directories that nothing is loaded from and of
// the reserve for exceptions.
//
// The linker names these in their place (--wrap, meson.build). Whatever else gives memory
// (posix_memalign) is the library's as before.
#if !defined(__SANITIZE_ADDRESS__)
#include <cstddef>

#include "sys/heap.hpp"

extern "C" {

void* library_malloc(std::size_t size) __asm__("__real_malloc");
void* library_realloc(void* block, std::size_t size) __asm__("__real_realloc");
void library_free(void* block) __asm__("__real_free");
void* own_malloc(std::size_t size) __asm__("__wrap_malloc");
void* own_calloc(std::size_t count, std::size_t size) __asm__("__wrap_calloc");
void* own_realloc(void* block, std::size_t size) __asm__("__wrap_realloc");
void own_free(void* block) __asm__("__wrap_free");

}  // extern "C"

namespace {

constexpr tare::sys::Library kLibrary{
    .allocate = library_malloc, .resize = library_realloc, .release = library_free};

}  // namespace

void* own_malloc(std::size_t size) {
  return tare::sys::allocate(tare::sys::own_blocks(), kLibrary, size);
}

void* own_calloc(std::size_t count, std::size_t size) {
  return tare::sys::allocate_zeroed(tare::sys::own_blocks(), kLibrary, count, size);
}

void* own_realloc(void* block, std::size_t size) {
  return tare::sys::resize(tare::sys::own_blocks(), kLibrary, block, size);
}

void own_free(void* block) {
  tare::sys::release(tare::sys::own_blocks(), kLibrary, block);
}
#endif
