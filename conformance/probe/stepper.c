// Runs a command and stops it, with all its children, before each system call that a path goes into
// or that moves a mount; at one of these stops it exchanges two names, so that every moment at
// which somebody else could have done so is tried once.
//
//   stepper REPORT AT BACK BEGIN PAYLOAD ONE OTHER COMMAND ARGUMENT...
//
// ONE and OTHER are exchanged before the call number AT, and again before the call BACK after that
// if BACK is not 0. Calls are counted from the first whose path contains BEGIN; with AT 0 they are
// only counted. Whatever executes a file named PAYLOAD is let go: it is the container's own.
// REPORT gets the number of calls. The exit status is that of the command.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

// Which argument is a path; calls that only take descriptors have none, 9.
static const struct {
  unsigned long number;
  int path;
} CALLS[] = {
#ifdef SYS_open
    {SYS_open, 0},       {SYS_stat, 0},       {SYS_lstat, 0},      {SYS_access, 0},
    {SYS_mkdir, 0},      {SYS_rmdir, 0},      {SYS_unlink, 0},     {SYS_symlink, 1},
    {SYS_readlink, 0},   {SYS_chmod, 0},      {SYS_chown, 0},      {SYS_lchown, 0},
    {SYS_mknod, 0},      {SYS_rename, 0},     {SYS_creat, 0},
#endif
    {SYS_openat, 1},     {SYS_openat2, 1},    {SYS_open_tree, 1},  {SYS_move_mount, 9},
    {SYS_mount, 1},      {SYS_umount2, 0},    {SYS_mkdirat, 1},    {SYS_mknodat, 1},
    {SYS_symlinkat, 2},  {SYS_unlinkat, 1},   {SYS_linkat, 1},     {SYS_renameat2, 1},
    {SYS_newfstatat, 1}, {SYS_statx, 1},      {SYS_readlinkat, 1}, {SYS_faccessat, 1},
    {SYS_faccessat2, 1}, {SYS_fchmodat, 1},   {SYS_fchownat, 1},   {SYS_chdir, 0},
    {SYS_fchdir, 9},     {SYS_pivot_root, 0}, {SYS_chroot, 0},     {SYS_statfs, 0},
    {SYS_execve, 0},     {SYS_execveat, 1},   {SYS_fsopen, 9},     {SYS_fsmount, 9},
    {SYS_setns, 9},
};

static long at, back, stops;
static const char *begin, *payload, *one, *other;

static void die(const char* what) {
  perror(what);
  exit(120);
}

// Reads the string at an address of a stopped process, as far as the room allows.
static void read_string(pid_t pid, unsigned long address, char* text, size_t room) {
  size_t length = 0;
  text[0] = 0;
  while (length < room - 1) {
    // Not over the end of a page, after which there may be nothing.
    size_t part = 4096 - (address + length) % 4096;
    if (part > room - 1 - length) part = room - 1 - length;
    struct iovec to = {text + length, part}, from = {(void*)(address + length), part};
    ssize_t got = process_vm_readv(pid, &to, 1, &from, 1, 0);
    if (got <= 0) break;
    length += (size_t)got;
    text[length] = 0;
    if (memchr(text, 0, length)) return;
  }
}

static void exchange(void) {
  if (renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)) die("exchange");
}

static void before_call(pid_t pid, const struct __ptrace_syscall_info* info) {
  for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
    if (info->entry.nr != CALLS[i].number) continue;
    char path[4096] = "";
    if (CALLS[i].path != 9) {
      read_string(pid, info->entry.args[CALLS[i].path], path, sizeof path);
      // A descriptor and no path: whatever was looked up was looked up before.
      if (!*path && info->entry.nr != SYS_open_tree) return;
    }
    if (!stops && !strstr(path, begin)) return;
    stops++;
    if (at && (stops == at || (back && stops == at + back))) exchange();
    return;
  }
}

// Whether what a process has just executed is the container's program.
static int is_payload(pid_t pid) {
  char link[64], target[4096];
  snprintf(link, sizeof link, "/proc/%d/exe", pid);
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (length < 0) return 0;
  target[length] = 0;
  const char* name = strrchr(target, '/');
  return name && !strcmp(name + 1, payload);
}

// Deals with one stop, and lets the process go on to its next.
static void handle(pid_t pid, int status) {
  int number = WSTOPSIG(status), event = status >> 16;
  unsigned long deliver = 0;
  if (number == (SIGTRAP | 0x80)) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0 &&
        info.op == PTRACE_SYSCALL_INFO_ENTRY)
      before_call(pid, &info);
  } else if (event == PTRACE_EVENT_EXEC && is_payload(pid)) {
    ptrace(PTRACE_DETACH, pid, 0, 0);
    return;
  } else if (event == PTRACE_EVENT_STOP && number != SIGTRAP) {
    ptrace(PTRACE_LISTEN, pid, 0, 0);
    return;
  } else if (!event) {
    deliver = (unsigned long)number;
  }
  ptrace(PTRACE_SYSCALL, pid, 0, deliver);
}

static void report(const char* path) {
  FILE* file = fopen(path, "we");
  if (!file) die(path);
  fprintf(file, "%ld\n", stops);
  fclose(file);
}

int main(int argc, char** argv) {
  if (argc < 9) return 121;
  at = atol(argv[2]);
  back = atol(argv[3]);
  begin = argv[4];
  payload = argv[5];
  one = argv[6];
  other = argv[7];
  pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    raise(SIGSTOP);
    execvp(argv[8], argv + 8);
    die(argv[8]);
  }
  if (waitpid(child, NULL, WUNTRACED) != child) die("waitpid");
  if (ptrace(PTRACE_SEIZE, child, 0,
             PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC))
    die("seize");
  kill(child, SIGCONT);
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0) die("waitpid");
    if (WIFSTOPPED(status)) {
      handle(pid, status);
    } else if (pid == child) {
      // What it leaves behind, a created container, goes on without us.
      report(argv[1]);
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
}
