// The first instructions of the program, in the C library's place: what is about to make a process
// of a container is sealed here (see seal.hpp), before the library has begun to initialise itself
// in an image that is given up right away. That takes 0.3 ms: relocations, page faults and some
// sixty CPUID instructions, each of which leaves a virtual machine. Sealing from main() stays the
// rule for whatever is not dealt with here: wherever a call fails, the program simply begins.
//
// Nothing may be used that needs a relocation, the library, or a stack guard: they are not there.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#include <fcntl.h>
#include <linux/auxvec.h>
#include <linux/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

namespace {

long call(long number, long first, const void* second, long third, const void* fourth,
          long fifth) noexcept {
  long result = number;
  register long in_r10 __asm__("r10") = reinterpret_cast<long>(fourth);
  register long in_r8 __asm__("r8") = fifth;
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"(first), "S"(second), "d"(third), "r"(in_r10), "r"(in_r8)
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

// The value of an entry of the auxiliary vector; 0 where there is none (getauxval(3)).
unsigned long find_auxiliary(const unsigned long* entry, unsigned long type) noexcept {
  for (; entry[0] != AT_NULL; entry += 2) {
    if (entry[0] == type) return entry[1];
  }
  return 0;
}

// As is_sealed() of seal.cpp, which has the reasons.
__attribute__((no_stack_protector)) bool needs_no_seal(const char* image) noexcept {
  struct statfs filesystem {};
  if (call(SYS_statfs, reinterpret_cast<long>(image), &filesystem, 0, nullptr, 0) < 0) return true;
  return (static_cast<unsigned long>(filesystem.f_flags) & ST_RDONLY) != 0;
}

}  // namespace

// Called with what the kernel has put on the stack (execve(2)): the count of arguments, these, a
// null pointer, the environment, a null pointer, the auxiliary vector.
extern "C" __attribute__((no_stack_protector, visibility("hidden"), used)) void tare_seal_early(
    long* stack) noexcept {
  char** words = reinterpret_cast<char**>(stack + 1);
  char** environment = words + stack[0] + 1;
  char** end = environment;
  while (*end != nullptr) ++end;
  const auto* auxiliary = reinterpret_cast<const unsigned long*>(end + 1);
  const auto* name = reinterpret_cast<const char*>(find_auxiliary(auxiliary, AT_EXECFN));
  // The second time, or with rights that main() refuses to run with.
  if (name == nullptr || begins_with(name, "/dev/fd/")) return;
  if (find_auxiliary(auxiliary, AT_SECURE) != 0 || !makes_a_process(words)) return;

  const char* image = "/proc/self/exe";
  if (needs_no_seal(image)) return;
  const long tree =
      call(SYS_open_tree, AT_FDCWD, image, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, nullptr, 0);
  if (tree < 0) return;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (call(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
    call(SYS_execveat, tree, "", reinterpret_cast<long>(words), environment, AT_EMPTY_PATH);
  }
  call(SYS_close, tree, nullptr, 0, nullptr, 0);
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
