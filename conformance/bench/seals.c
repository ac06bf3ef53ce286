/* What keeping a program from being written to through /proc/PID/exe (CVE-2019-5736) takes:
 *
 *   gcc -O2 -static -o build/seals conformance/bench/seals.c && chrt -r 1 build/seals build/tare
 * 300
 *
 * executes `BINARY --version` in turns as it lies there and by each of the ways to seal it, and
 * prints the medians in milliseconds of the whole process, and what each adds to the first. The
 * second execve that all of them need, as a program can only seal itself once it has been executed,
 * is a row of its own. Needs root, and makes its mounts in a namespace of its own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ROUNDS = 5000, WARM = 5, EMPTY_PATH = 0x1000, MEMFD_EXECUTABLE = 0x10 };

extern char** environ;
static char binary[4096], directory[4096], beside[] = "/tmp/seals.XXXXXX", target[64];
static char* words[] = {"tare", "--version", NULL};

static void check(int failed) {
  if (failed) _exit(100);
}

static void be_quiet(void) {
  dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
}

static void execute(int fd) {
  syscall(SYS_execveat, fd, "", words, environ, EMPTY_PATH);
  _exit(99);
}

static void plain(void) {
  execve(binary, words, environ);
  _exit(99);
}

/* On a read-only mount there is nothing to do, once that is known. */
static void look(void) {
  struct statfs facts;
  check(statfs(binary, &facts));
  plain();
}

/* This program again, which executes the other. */
static void again(void) {
  execl("/proc/self/exe", "seals", "--execute", binary, NULL);
  _exit(99);
}

static void detached_clone(void) {
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, binary, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  check(syscall(SYS_mount_setattr, tree, "", EMPTY_PATH, &attributes, sizeof attributes) != 0);
  execute(tree);
}

static void bind(void) {
  check(mount(binary, target, NULL, MS_BIND, NULL));
  check(mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
  int fd = open(target, O_PATH | O_CLOEXEC);
  check(umount2(target, MNT_DETACH));
  execute(fd);
}

static void overlay(void) {
  char layers[9000];
  snprintf(layers, sizeof layers, "%s:%s", directory, beside);
  int context = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
  check(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "lowerdir", layers, 0) != 0);
  check(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0);
  int made = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
  execute(openat(made, strrchr(binary, '/') + 1, O_PATH | O_CLOEXEC));
}

static int copy(void) {
  int from = open(binary, O_RDONLY | O_CLOEXEC);
  int to = memfd_create("tare", MFD_CLOEXEC | MFD_ALLOW_SEALING | MEMFD_EXECUTABLE);
  while (sendfile(to, from, NULL, 1 << 30) > 0) continue;
  return to;
}

static void memory(void) {
  char path[64];
  int fd = copy();
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int readable = open(path, O_RDONLY | O_CLOEXEC);
  close(fd); /* open for writing it could not be executed */
  execute(readable);
}

static void sealed_memory(void) {
  int fd = copy();
  check(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
  execute(fd);
}

static const struct {
  const char* name;
  void (*begin)(void);
} WAYS[] = {
    {"as it is", plain},
    {"nothing, as the mount is read-only", look},
    {"an execve more, of a small program", again},
    {"detached read-only clone", detached_clone},
    {"read-only bind, detached", bind},
    {"overlay", overlay},
    {"memfd", memory},
    {"sealed memfd", sealed_memory},
};
enum { NUMBER = sizeof WAYS / sizeof *WAYS };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int smaller(const void* one, const void* other) {
  double first = *(const double*)one, second = *(const double*)other;
  return (first > second) - (first < second);
}

static double measure(int way) {
  double begin = now();
  pid_t pid = fork();
  if (pid == 0) {
    be_quiet();
    WAYS[way].begin();
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (status) {
    fprintf(stderr, "%s: status %x\n", WAYS[way].name, (unsigned)status);
    exit(1);
  }
  return now() - begin;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int second = !strcmp(argv[1], "--execute");
  if (!realpath(argv[second ? 2 : 1], binary)) return 2;
  if (second) plain();
  static double times[NUMBER][MOST_ROUNDS];
  int rounds = atoi(argv[2]);
  if (rounds < 1 || rounds > MOST_ROUNDS || !mkdtemp(beside)) return 2;
  snprintf(directory, sizeof directory, "%s", binary);
  dirname(directory);
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) return 3;
  if (mount("seals", beside, "tmpfs", 0, NULL)) return 3;
  snprintf(target, sizeof target, "%s/target", beside);
  close(open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  for (int round = -WARM; round < rounds; round++)
    for (int way = 0; way < NUMBER; way++) {
      double time = measure(way);
      if (round >= 0) times[way][round] = time;
    }
  for (int way = 0; way < NUMBER; way++) {
    qsort(times[way], (size_t)rounds, sizeof(double), smaller);
    double median = times[way][rounds / 2];
    printf("%-36s %6.2f %+6.2f\n", WAYS[way].name, median, median - times[0][rounds / 2]);
  }
  umount(beside);
  return rmdir(beside) != 0;
}
