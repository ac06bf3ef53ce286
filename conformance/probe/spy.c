// Tries everything that a process of a container could do to another that is being made in it, as
// fast as it can, to every process that it sees and that is neither of its own program nor busybox.
//
//   spy CANARY attach|look
//
// CANARY is a path of the host. "attach" also tries what needs the right to trace. It prints a line
// for every success, and the number of rounds and of processes that were tried once there is /stop.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define UP "../../../../../../../../../../../../../../../../"

static const char* canary;
static struct stat own_programs[2];

// Whether a process executes a program of the container, or nothing any more: of one that has ended
// there is no program to be seen (ENOENT), while one that hides its own refuses (EACCES).
static int is_own(pid_t pid) {
  char link[64];
  struct stat about;
  snprintf(link, sizeof link, "/proc/%d/exe", pid);
  if (stat(link, &about)) return errno != EACCES;
  for (int i = 0; i < 2; i++)
    if (about.st_dev == own_programs[i].st_dev && about.st_ino == own_programs[i].st_ino) return 1;
  return 0;
}

// What was done to a process that had become its program by then was done to that.
static void succeeded(pid_t pid, const char* how) {
  if (!is_own(pid)) printf("%s of %d\n", how, pid);
}

static int can_open(const char* path, int flags) {
  int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static void look(pid_t pid) {
  char path[8192];
  static const char* const PLACES[] = {"root", "cwd"};
  for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
    snprintf(path, sizeof path, "/proc/%d/%s/" UP "%s", pid, PLACES[i], canary);
    if (can_open(path, O_RDONLY)) succeeded(pid, PLACES[i]);
  }
  for (int number = 0; number < 16; number++) {
    snprintf(path, sizeof path, "/proc/%d/fd/%d/" UP "%s", pid, number, canary);
    if (can_open(path, O_RDONLY)) succeeded(pid, "a descriptor");
  }
}

static void attach(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  if (can_open(path, O_RDWR)) succeeded(pid, "the memory");
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd >= 0) {
    int got = (int)syscall(SYS_pidfd_getfd, pidfd, 0, 0);
    if (got >= 0) succeeded(pid, "a copy of a descriptor");
    if (got >= 0) close(got);
    close(pidfd);
  }
  if (ptrace(PTRACE_SEIZE, pid, 0, 0)) return;
  succeeded(pid, "tracing");
  // Only one that stands still can be let go.
  if (!ptrace(PTRACE_INTERRUPT, pid, 0, 0) && waitpid(pid, NULL, __WALL) == pid)
    ptrace(PTRACE_DETACH, pid, 0, 0);
}

int main(int argc, char** argv) {
  if (argc < 3) return 1;
  canary = argv[1];
  int may_attach = !strcmp(argv[2], "attach");
  if (stat("/proc/self/exe", &own_programs[0]) || stat("/bin/busybox", &own_programs[1])) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  long rounds = 0, tried = 0;
  for (; access("/stop", F_OK); rounds++) {
    DIR* processes = opendir("/proc");
    if (!processes) return 3;
    for (struct dirent* entry; (entry = readdir(processes));) {
      pid_t pid = atoi(entry->d_name);
      if (pid <= 0 || is_own(pid)) continue;
      tried++;
      look(pid);
      if (may_attach) attach(pid);
    }
    closedir(processes);
  }
  printf("done %ld %ld\n", rounds, tried);
  return 0;
}
