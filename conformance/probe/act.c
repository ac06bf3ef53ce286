// A program for the containers of this suite that makes the system calls it is told to make, to
// see which of them the container allows: no shell and no libc is in between that could change
// the call or hide its error.
//
//   act NAME ARG... [, NAME ARG...]...
//
// prints a line for each call, "ok" or the name of the error. An argument that begins with a
// digit or a minus is a number, @ is the null pointer, bit:N a structure of 64 bytes with bit N
// set, any other is a string; the name may be a number, for a call that has no name yet. int80 in
// front of a number takes the 32-bit gate.
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
  const char* name;
  long number;
} CALLS[] = {
#define CALL(name) \
  { #name, SYS_##name }
    CALL(add_key),     CALL(bpf),           CALL(chdir),         CALL(chroot),
    CALL(clone3),      CALL(close),         CALL(dup3),          CALL(fchdir),
    CALL(fchmod),      CALL(fchmodat),      CALL(fchownat),      CALL(fsopen),
    CALL(getcwd),      CALL(getpid),        CALL(getppid),       CALL(getpriority),
    CALL(getuid),      CALL(gettid),        CALL(ioctl),         CALL(keyctl),
    CALL(kill),        CALL(linkat),        CALL(lseek),         CALL(mkdirat),
    CALL(mknodat),     CALL(mount),         CALL(open_tree),     CALL(openat),
    CALL(openat2),     CALL(personality),   CALL(fsconfig),      CALL(fspick),
    CALL(move_mount),  CALL(pidfd_open),    CALL(mount_setattr), CALL(pidfd_getfd),
    CALL(pivot_root),  CALL(prctl),         CALL(ptrace),        CALL(renameat2),
    CALL(sched_yield), CALL(setdomainname), CALL(setgid),        CALL(sethostname),
    CALL(setns),       CALL(setpriority),   CALL(setuid),        CALL(socket),
    CALL(symlinkat),   CALL(sync),          CALL(umask),         CALL(umount2),
    CALL(unlinkat),    CALL(unshare),       CALL(write),
#undef CALL
};

static long number_of(const char* name) {
  if (isdigit((unsigned char)*name)) return strtol(name, NULL, 0);
  for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
    if (!strcmp(CALLS[i].name, name)) return CALLS[i].number;
  fprintf(stderr, "act: no call named '%s'\n", name);
  exit(90);
}

// A structure that nobody changes while a call has it; one call has one of them at most.
static long one_bit(long bit) {
  static unsigned char bytes[64];
  memset(bytes, 0, sizeof bytes);
  bytes[bit / 8 % (long)sizeof bytes] = (unsigned char)(1 << bit % 8);
  return (long)bytes;
}

static long value_of(char* word) {
  if (!strcmp(word, "@")) return 0;
  if (!strncmp(word, "bit:", 4)) return one_bit(strtol(word + 4, NULL, 10));
  if (isdigit((unsigned char)*word) || *word == '-') return (long)strtoll(word, NULL, 0);
  return (long)word;
}

// Makes a call by the gate of 32-bit programs, whose calls have other numbers; values above 32 bits
// are cut.
static long call_by_gate(long number, const long* values) {
#ifdef __x86_64__
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(number), "b"(values[0]), "c"(values[1]), "d"(values[2])
                   : "memory", "r8", "r9", "r10", "r11");
  if ((int)result >= 0) return result;
  errno = -(int)result;
#else
  (void)number;
  (void)values;
  errno = ENOSYS;
#endif
  return -1;
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    int gate = !strcmp(argv[i], "int80");
    if (gate && ++i == argc) return 92;
    long number = number_of(argv[i]);
    long values[6] = {0};
    for (size_t n = 0; i + 1 < argc && strcmp(argv[i + 1], ","); n++) {
      if (n >= sizeof values / sizeof *values) return 91;
      values[n] = value_of(argv[++i]);
    }
    i++;  // The comma.
    errno = 0;
    long result =
        gate ? call_by_gate(number, values)
             : syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
    const char* error = strerrorname_np(errno);
    if (result != -1)
      puts("ok");
    else if (error)
      puts(error);
    else
      printf("%d\n", errno);
    fflush(stdout);
  }
  return 0;
}
