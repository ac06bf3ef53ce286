/* Runs a command some times at once and prints what that cost: wall ns, CPU us, peak RSS KiB of
 * the biggest, page faults, exit status (of the worst).
 *
 *   launch TIMES COMMAND [ARGUMENT]...    a '%' in an argument is the number of the copy
 *
 * Static and small, because the peak RSS of a child is at least that of what forked it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void number(char** words, int copy) {
  for (; *words; words++) {
    char* mark = strchr(*words, '%');
    if (!mark) continue;
    char* made = 0;
    if (asprintf(&made, "%.*s%d%s", (int)(mark - *words), *words, copy, mark + 1) < 0) _exit(127);
    *words = made;
  }
}

static void be(char** words, int copy) {
  number(words, copy);
  int null = open("/dev/null", O_RDWR);
  dup2(null, 0);
  dup2(null, 1);
  execv(words[0], words);
  _exit(127);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  int times = atoi(argv[1]), worst = 0;
  long long begin = now_ns();
  for (int copy = 0; copy < times; copy++)
    if (fork() == 0) be(argv + 2, copy);
  for (int copy = 0; copy < times; copy++) {
    int status = 0;
    wait(&status);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    if (code > worst) worst = code;
  }
  long long wall = now_ns() - begin;
  struct rusage use;
  getrusage(RUSAGE_CHILDREN, &use);
  long long cpu = use.ru_utime.tv_sec * 1000000LL + use.ru_utime.tv_usec +
                  use.ru_stime.tv_sec * 1000000LL + use.ru_stime.tv_usec;
  printf("%lld %lld %ld %ld %d\n", wall, cpu, use.ru_maxrss, use.ru_minflt + use.ru_majflt, worst);
  return 0;
}
