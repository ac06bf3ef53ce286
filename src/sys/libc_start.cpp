// How the C library begins and ends, in place of its own __libc_start_main (csu/libc-start.c) and
// the same but for six things, each of which cost more than it gave to a program that is over in
// milliseconds:
//
// - The program's data is made present by one call (below).
// - The processor is not asked what it can do. The library asks with some sixty CPUID instructions,
//   to choose among its string functions and to find the sizes of caches. Each of them leaves a
//   virtual machine, so that this took 0.2 ms of every command on such a one. Without an answer the
//   library takes what every x86-64 processor has, which is as fast for strings as short as ours.
// - The kernel's own library (vdso(7)) is not looked into. A command reads the clock once or twice,
//   by calls of 0.3 us then; finding the library's functions and mapping its pages, for the sake of
//   these, is four page faults.
// - It is not asked where the program lies, nor is memory for its thread taken from the kernel (see
//   below).
// - The program ends with main(), not by exit(3). What exit calls is the end of static objects and
//   of standard streams; there are none here, and finding that writes to four pages.
//
// What is called here is internal to the library, so this is for the version that it was written
// for; with any other, the library begins by itself.
#include <features.h>
#if defined(__x86_64__) && defined(__GLIBC__) && __GLIBC__ == 2 && __GLIBC_MINOR__ == 36 && \
    !defined(__SANITIZE_ADDRESS__)
#include <elf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "sys/heap.hpp"

// A name of the library's for one of ours; hidden, so that no relocation is needed to reach it.
#define TARE_LIBRARY(name) __asm__(name) __attribute__((visibility("hidden")))

namespace {

using Main = int (*)(int, char**, char**);
using Initializer = void (*)(int, char**, char**);
using Function = void (*)();

}  // namespace

extern "C" {

extern char** library_environment TARE_LIBRARY("__environ");
extern void* library_stack_end TARE_LIBRARY("__libc_stack_end");
extern const void* library_random TARE_LIBRARY("_dl_random");
extern const void* kernel_library TARE_LIBRARY("_dl_sysinfo_dso");
void read_auxiliary(Elf64_auxv_t* vector) TARE_LIBRARY("_dl_aux_init");
void read_tunables(char** environment) TARE_LIBRARY("__tunables_init");
void relocate() TARE_LIBRARY("_dl_relocate_static_pie");
void set_up_thread() TARE_LIBRARY("__libc_setup_tls");
void begin_early(bool initial) TARE_LIBRARY("__libc_early_init");
void begin_first(int count, char** words, char** environment) TARE_LIBRARY("__libc_init_first");
void begin_program() TARE_LIBRARY("_init");
extern const Initializer first_begin[] TARE_LIBRARY("__preinit_array_start");
extern const Initializer first_end[] TARE_LIBRARY("__preinit_array_end");
extern const Initializer constructors_begin[] TARE_LIBRARY("__init_array_start");
extern const Initializer constructors_end[] TARE_LIBRARY("__init_array_end");

// From what size on memcpy and memset proceed in other ways: the library's own numbers for a
// processor that it knows nothing of, and 3/4 of the shared cache where it has none.
extern const long half_data_cache TARE_LIBRARY("__x86_data_cache_size_half");
extern const long data_cache TARE_LIBRARY("__x86_data_cache_size");
extern const long half_shared_cache TARE_LIBRARY("__x86_shared_cache_size_half");
extern const long shared_cache TARE_LIBRARY("__x86_shared_cache_size");
extern const long past_the_cache TARE_LIBRARY("__x86_shared_non_temporal_threshold");
extern const long copy_by_string TARE_LIBRARY("__x86_rep_movsb_threshold");
extern const long set_by_string TARE_LIBRARY("__x86_rep_stosb_threshold");
extern const long no_more_by_string TARE_LIBRARY("__x86_rep_movsb_stop_threshold");
extern const int string_quirks TARE_LIBRARY("__x86_string_control");
const long half_data_cache = 32L * 1024 / 2;
const long data_cache = 32L * 1024;
const long half_shared_cache = 1024L * 1024 / 2;
const long shared_cache = 1024L * 1024;
const long past_the_cache = 1024L * 1024 * 3 / 4;
const long copy_by_string = 2048;
const long set_by_string = 2048;
const long no_more_by_string = 1024L * 1024 * 3 / 4;
const int string_quirks = 0;

// In place of the library's own functions of these names.
const char* find_own_directory() TARE_LIBRARY("_dl_get_origin");
void* take_early(std::size_t size) TARE_LIBRARY("_dl_early_allocate");

int start_library(Main main, int count, char** words, Function, Function, Function,
                  void* stack_end) __asm__("__libc_start_main");

// Where the program lies counts for what it loads, which is nothing. The library reads the link
// /proc/self/exe for it, and a process's first file in /proc takes 40 us.
const char* find_own_directory() {
  return reinterpret_cast<const char*>(-1);  // the library's word for not known
}

// What belongs to the thread, which the library takes from brk(2): see libc_malloc.cpp.
void* take_early(std::size_t size) {
  constexpr std::size_t kRoom = 4096;
  alignas(std::max_align_t) static char room[kRoom];
  return size <= kRoom ? room : ::sbrk(static_cast<std::intptr_t>(size));
}

}  // extern "C"

namespace {

void call_initializers(int count, char** words) {
  for (const auto* now = first_begin; now != first_end; ++now) {
    (*now)(count, words, library_environment);
  }
  begin_program();
  for (const auto* now = constructors_begin; now != constructors_end; ++now) {
    (*now)(count, words, library_environment);
  }
}

// Relocation writes to every page of the data, and what follows to nearly all that is left of it:
// 20 page faults, or one call (since Linux 5.14; without it, the faults come). It begins where the
// initializers are listed, which is the first page that the linker makes writable, and goes on into
// the heap behind the data.
__attribute__((no_stack_protector, always_inline)) inline void make_data_present() {
  constexpr std::uintptr_t kPage = 4096;
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(first_begin) & ~(kPage - 1);
  const std::uintptr_t size =
      reinterpret_cast<std::uintptr_t>(tare_heap) + tare::sys::kHeapAtFirst - begin;
  long result = SYS_madvise;
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"(begin), "S"(size), "d"(static_cast<long>(MADV_POPULATE_WRITE))
                   : "rcx", "r11", "memory");
}

// What the kernel has drawn for this process (AT_RANDOM, 16 bytes): the stack guard, whose lowest
// byte is 0 so that no string can carry it over, and what pointers in jump buffers are mixed with.
__attribute__((no_stack_protector, always_inline)) inline void set_guards() {
  std::array<std::uint64_t, 2> guards{};
  __builtin_memcpy(guards.data(), library_random, sizeof guards);
  constexpr std::uint64_t kLowestByte = 0xFF;
  __asm__ volatile("movq %0, %%fs:0x28" : : "r"(std::get<0>(guards) & ~kLowestByte));
  __asm__ volatile("movq %0, %%fs:0x30" : : "r"(std::get<1>(guards)));
}

}  // namespace

extern "C" __attribute__((no_stack_protector)) int start_library(Main main, int count, char** words,
                                                                 Function, Function, Function,
                                                                 void* stack_end) {
  make_data_present();
  library_environment = words + count + 1;
  library_stack_end = stack_end;
  char** end = library_environment;
  while (*end != nullptr) ++end;
  read_auxiliary(reinterpret_cast<Elf64_auxv_t*>(end + 1));
  kernel_library = nullptr;  // as if there were none
  read_tunables(library_environment);
  // Up to here nothing could be used that has to be relocated, up to the guards nothing that has a
  // guarded stack.
  relocate();
  set_up_thread();
  set_guards();
  begin_early(true);
  begin_first(count, words, library_environment);
  call_initializers(count, words);
  ::_exit(main(count, words, library_environment));
}
#endif
