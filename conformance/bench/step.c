/* Runs a command one instruction at a time and writes down every address at which an instruction of
 * one program begins, in the order in which they were first reached: once for the process that the
 * command begins as, and once for all that it makes.
 *
 *   step FILE PROGRAM COMMAND [ARGUMENT]...
 *
 * writes to FILE lines "0 ADDRESS", or "1 ADDRESS" for what was made, in hexadecimal, counted from
 * where PROGRAM begins in memory.
 *
 * Processes that the command makes are followed; what is another program runs at its own speed. A
 * program is known by its inode, as one that has sealed itself has no path (see src/sys/seal.hpp).
 * What is made with its maker's memory (vfork) finds there what that has mapped, and counts as
 * that. */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kLargest = 8 << 20, kProcesses = 64 };

struct process {
  pid_t pid;
  unsigned long begin, end; /* of the program's code in it; both 0 in another program */
  int made;
};

static struct process processes[kProcesses];
static unsigned char seen[2][kLargest];

static struct process* find(pid_t pid) {
  for (int i = 0; i < kProcesses; i++)
    if (processes[i].pid == pid) return &processes[i];
  return pid ? find(0) : NULL;
}

/* Where the program is in a process that has just executed something. */
static void locate(struct process* process, ino_t program) {
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/%d/maps", process->pid);
  FILE* maps = fopen(path, "r");
  process->begin = process->end = 0;
  unsigned long begin, end, inode;
  while (maps && fgets(line, sizeof line, maps)) {
    if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &begin, &end, &inode) != 3 || inode != program)
      continue;
    if (!process->begin) process->begin = begin;
    process->end = end;
  }
  if (maps) fclose(maps);
}

static void note(const struct process* process, FILE* out) {
  size_t at = offsetof(struct user_regs_struct, rip);
  unsigned long address = ptrace(PTRACE_PEEKUSER, process->pid, at, 0);
  if (address < process->begin || address >= process->end) return;
  address -= process->begin;
  if (address >= kLargest || seen[process->made][address]) return;
  seen[process->made][address] = 1;
  fprintf(out, "%d %lx\n", process->made, address);
}

/* Deals with one stop and gives the signal that the process is to go on with. */
static int attend(struct process* process, int status, ino_t program, FILE* out) {
  int number = WSTOPSIG(status), event = status >> 16;
  if (event == PTRACE_EVENT_EXEC) {
    locate(process, program);
    return 0;
  }
  if (event) {
    unsigned long child = 0;
    ptrace(PTRACE_GETEVENTMSG, process->pid, 0, &child);
    struct process* made = find((pid_t)child);
    if (!made) exit(3);
    *made = *process;
    made->pid = (pid_t)child;
    made->made = process->made || event != PTRACE_EVENT_VFORK;
    return 0;
  }
  if (number != SIGTRAP && number != SIGSTOP) return number;
  if (process->end) note(process, out);
  return 0;
}

int main(int argc, char** argv) {
  struct stat program;
  FILE* out = argc > 3 ? fopen(argv[1], "w") : NULL;
  if (!out || stat(argv[2], &program) < 0) return 2;
  pid_t first = fork();
  if (first == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execv(argv[3], argv + 3);
    _exit(127);
  }
  int status = 0, result = 1;
  waitpid(first, &status, 0);
  ptrace(PTRACE_SETOPTIONS, first, 0,
         PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
             PTRACE_O_EXITKILL);
  find(0)->pid = first;
  ptrace(PTRACE_CONT, first, 0, 0);
  for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
    struct process* process = find(pid);
    if (!process) return 3;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (pid == first) result = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
      *process = (struct process){0};
      continue;
    }
    process->pid = pid;
    int signal_number = attend(process, status, program.st_ino, out);
    ptrace(process->end ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, 0, (long)signal_number);
  }
  return fclose(out) ? 1 : result;
}
