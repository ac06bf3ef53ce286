// The first instructions of the program, in the C library's place: what is about to make a process
// of a container is sealed here (see seal.hpp), before the library has begun. Nothing of the
// program is in use yet but these instructions, so it can be moved into the sealed image as it
// stands, its mappings and what /proc/self/exe names; that takes a fifth of executing the image.
// Where it may not be moved, it is executed, before the library has initialised itself in an image
// that is given up right away. Sealing from main() stays the rule for whatever is not dealt with
// here: wherever a call fails, the program simply begins.
//
// Nothing may be used that needs a relocation, the library, or a stack guard: they are not there.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#include <elf.h>
#include <fcntl.h>
#include <linux/auxvec.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include <cerrno>

#include "sys/seal.hpp"

// NOLINTNEXTLINE(*): the linker's name for where the program lies, its own script's
extern "C" const char __ehdr_start __attribute__((visibility("hidden")));

namespace {

constexpr unsigned long kPage = 4096;

long address(const volatile void* pointer) noexcept {
  return reinterpret_cast<long>(pointer);
}

long call(long number, long first, long second = 0, long third = 0, long fourth = 0, long fifth = 0,
          long sixth = 0) noexcept {
  long result = number;
  register long in_r10 __asm__("r10") = fourth;
  register long in_r8 __asm__("r8") = fifth;
  register long in_r9 __asm__("r9") = sixth;
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"(first), "S"(second), "d"(third), "r"(in_r10), "r"(in_r8), "r"(in_r9)
                   : "rcx", "r11", "memory");
  return result;
}

bool is(const char* word, const char* other) noexcept {
  while (*word != '\0' && *word == *other) {
    ++word;
    ++other;
  }
  return *word == *other;
}

bool begins_with(const char* word, const char* beginning) noexcept {
  while (*beginning != '\0' && *word == *beginning) {
    ++word;
    ++beginning;
  }
  return *beginning == '\0';
}

// Any word will do: who is sealed without need has lost 0.2 ms.
bool makes_a_process(const char* const* words) noexcept {
  for (; *words != nullptr; ++words) {
    if (is(*words, "create") || is(*words, "run") || is(*words, "exec")) return true;
  }
  return false;
}

// What the kernel has put on the stack (execve(2)): the count of arguments, these, a null pointer,
// the environment, a null pointer, the auxiliary vector.
struct Beginning {
  const long* stack;
  char** words;
  char** environment;
  const unsigned long* auxiliary;
};

Beginning beginning_of(long* stack) noexcept {
  char** words = reinterpret_cast<char**>(stack + 1);
  char** environment = words + stack[0] + 1;
  char** end = environment;
  while (*end != nullptr) ++end;
  return {stack, words, environment, reinterpret_cast<const unsigned long*>(end + 1)};
}

// The value of an entry of the auxiliary vector; 0 where there is none (getauxval(3)).
unsigned long find_auxiliary(const Beginning& beginning, unsigned long type) noexcept {
  for (const unsigned long* entry = beginning.auxiliary; entry[0] != AT_NULL; entry += 2) {
    if (entry[0] == type) return entry[1];
  }
  return 0;
}

char* name_of(const Beginning& beginning) noexcept {
  return reinterpret_cast<char*>(find_auxiliary(beginning, AT_EXECFN));
}

// Of a mount that is, the image needs no seal, as is_sealed() of seal.cpp has it. What cannot be
// found is left to that, too.
__attribute__((no_stack_protector)) bool is_read_only(const char* image) noexcept {
  struct statfs filesystem {};
  if (call(SYS_statfs, address(image), address(&filesystem)) < 0) return true;
  return (static_cast<unsigned long>(filesystem.f_flags) & ST_RDONLY) != 0;
}

// A read-only clone of the mount that `place` lies on, from there on and attached nowhere; below 0
// where there can be none.
__attribute__((no_stack_protector)) long clone_read_only(const char* place) noexcept {
  const long tree =
      call(SYS_open_tree, AT_FDCWD, address(place), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return tree;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  const long result = call(SYS_mount_setattr, tree, address(""), AT_EMPTY_PATH,
                           address(&attributes), sizeof attributes);
  if (result == 0) return tree;
  call(SYS_close, tree);
  return result;
}

// Whether a file begins as this program does in memory: with the same headers, and the same id of
// what the linker made (--build-id), which is a digest of all of it.
__attribute__((no_stack_protector)) bool is_this_program(long file) noexcept {
  constexpr long kBeginning = 1024;
  char beginning[kBeginning]{};
  if (call(SYS_pread64, file, address(beginning), kBeginning, 0) != kBeginning) return false;
  const char* const ours = &__ehdr_start;
  for (long at = 0; at < kBeginning; ++at) {
    if (beginning[at] != ours[at]) return false;
  }
  return true;
}

// The image by the name that it was executed by, in a clone of its directory. It takes nothing of
// /proc, whose files of a process cost 40 us to begin with. Below 0 where that name is a link, or
// another file's by now. (Who exchanges the file for one that begins alike has this program be that
// file, and nothing of it is the one that it was.)
__attribute__((no_stack_protector)) long open_by_name(char* name) noexcept {
  char nothing = 0;
  // Not a link: then there is nothing to read.
  if (call(SYS_readlink, address(name), address(&nothing), 1) != -EINVAL) return -1;
  char* slash = nullptr;
  for (char* now = name; *now != '\0'; ++now) {
    if (*now == '/') slash = now;
  }
  if (slash == nullptr || slash == name) return -1;
  *slash = '\0';
  const long tree = clone_read_only(name);
  *slash = '/';
  if (tree < 0) return tree;
  long image = call(SYS_openat, tree, address(slash + 1), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  call(SYS_close, tree);
  if (image >= 0 && !is_this_program(image)) {
    call(SYS_close, image);
    image = -1;
  }
  return image;
}

// The same by the kernel's own link to it, which cannot be wrong. A mount's descriptor is O_PATH,
// and nothing can be mapped from one; where the file cannot be opened by it, it can still be
// executed.
__attribute__((no_stack_protector)) long open_by_link(const char* link) noexcept {
  constexpr long kMost = 999;
  const long tree = clone_read_only(link);
  if (tree < 0 || tree > kMost) return tree;
  char path[] = "/proc/self/fd/\0\0\0";
  char* end = path + sizeof "/proc/self/fd/" - 1;
  for (long power = 100; power > 0; power /= 10) {
    if (tree >= power || power == 1) *end++ = static_cast<char>('0' + tree / power % 10);
  }
  const long image = call(SYS_openat, AT_FDCWD, address(path), O_RDONLY | O_CLOEXEC);
  if (image < 0) return tree;
  call(SYS_close, tree);
  return image;
}

// Over itself, with the same contents: nothing has been written to any part of the program yet, but
// for the end of the last page of the file's, which the kernel has cleared (ELF: p_memsz).
bool map_again(const Elf64_Phdr& part, long image) noexcept {
  const unsigned long place = static_cast<unsigned long>(address(&__ehdr_start)) + part.p_vaddr;
  const auto begin = static_cast<long>(place & ~(kPage - 1));
  const auto end = static_cast<long>(place + part.p_filesz);
  const long protection = ((part.p_flags & PF_R) != 0 ? PROT_READ : 0) |
                          ((part.p_flags & PF_W) != 0 ? PROT_WRITE : 0) |
                          ((part.p_flags & PF_X) != 0 ? PROT_EXEC : 0);
  if (call(SYS_mmap, begin, end - begin, protection, MAP_PRIVATE | MAP_FIXED, image,
           static_cast<long>(part.p_offset & ~(kPage - 1))) != begin) {
    return false;
  }
  if (part.p_memsz == part.p_filesz) return true;
  auto* rest = reinterpret_cast<volatile char*>(end);
  for (; (static_cast<unsigned long>(address(rest)) & (kPage - 1)) != 0; ++rest) *rest = 0;
  return true;
}

// What /proc/self/exe names. The kernel takes it only with the rest of what it has noted about the
// program at execve (prctl(2), PR_SET_MM_MAP), where CAP_SYS_RESOURCE is not to be had; and only
// when nothing of the old image is mapped any more (kernel/fork.c, replace_mm_exe_file).
__attribute__((no_stack_protector)) bool become(const Beginning& beginning, const Elf64_Phdr& code,
                                                const Elf64_Phdr& data, long image) noexcept {
  const auto base = static_cast<unsigned long>(address(&__ehdr_start));
  const auto name = static_cast<unsigned long>(address(name_of(beginning)));
  const bool is_bare = beginning.environment[0] == nullptr;
  const auto heap = static_cast<unsigned long>(call(SYS_brk, 0));
  prctl_mm_map map{};
  map.start_code = base + code.p_vaddr;
  map.end_code = map.start_code + code.p_filesz;
  map.start_data = base + data.p_vaddr;
  map.end_data = map.start_data + data.p_filesz;
  map.start_brk = map.brk = heap;
  map.start_stack = static_cast<unsigned long>(address(beginning.stack));
  // The texts lie behind one another: arguments, environment, and the name of the program.
  map.arg_start = static_cast<unsigned long>(address(beginning.words[0]));
  map.arg_end = map.env_start =
      is_bare ? name : static_cast<unsigned long>(address(beginning.environment[0]));
  map.env_end = name;
  map.exe_fd = static_cast<unsigned>(image);
  return call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, address(&map), sizeof map) == 0;
}

// Whether the program is in the image now, and nowhere else.
bool move_into(long image, const Beginning& beginning) noexcept {
  const auto* part = reinterpret_cast<const Elf64_Phdr*>(find_auxiliary(beginning, AT_PHDR));
  if (part == nullptr) return false;
  const Elf64_Phdr* code = nullptr;
  const Elf64_Phdr* data = nullptr;
  for (unsigned long left = find_auxiliary(beginning, AT_PHNUM); left > 0; --left, ++part) {
    if (part->p_type != PT_LOAD) continue;
    if (!map_again(*part, image)) return false;
    if ((part->p_flags & PF_X) != 0) code = part;
    if ((part->p_flags & PF_W) != 0) data = part;
  }
  return code != nullptr && data != nullptr && become(beginning, *code, *data, image);
}

}  // namespace

extern "C" __attribute__((no_stack_protector, visibility("hidden"), used)) void tare_seal_early(
    long* stack) noexcept {
  const Beginning beginning = beginning_of(stack);
  char* name = name_of(beginning);
  // The second time, or with rights that main() refuses to run with.
  if (name == nullptr || begins_with(name, "/dev/fd/")) return;
  if (find_auxiliary(beginning, AT_SECURE) != 0 || !makes_a_process(beginning.words)) return;

  const char* link = "/proc/self/exe";
  // What is read-only by this name may be another by now: the link has the last word on it.
  long image = is_read_only(name) ? -1 : open_by_name(name);
  if (image < 0 && !is_read_only(link)) image = open_by_link(link);
  if (image < 0) return;
  tare_is_sealed = move_into(image, beginning);
  if (!tare_is_sealed) {
    call(SYS_execveat, image, address(""), address(beginning.words), address(beginning.environment),
         AT_EMPTY_PATH);
  }
  call(SYS_close, image);
}

// rdx is the kernel's word to _start, and the stack's place all that it finds its arguments by.
__asm__(
    ".text\n"
    ".globl tare_entry\n"
    ".hidden tare_entry\n"
    ".type tare_entry, @function\n"
    "tare_entry:\n"
    "  endbr64\n"
    "  movq %rsp, %rdi\n"
    "  pushq %rdx\n"
    "  subq $8, %rsp\n"
    "  xorl %ebp, %ebp\n"
    "  call tare_seal_early\n"
    "  addq $8, %rsp\n"
    "  popq %rdx\n"
    "  jmp _start\n"
    ".size tare_entry, . - tare_entry\n");
#endif
