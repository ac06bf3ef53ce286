// The program that the containers of this suite run: it prints what it finds
// about itself as one JSON object, or plays a small part (waiting, catching
// signals, watching its terminal) that a shell cannot play exactly.
//
// It is static and needs nothing of the rootfs but /proc, and does without
// that where a system call tells the same.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

static void print_string(const char *text) {
  putchar('"');
  for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
    if (*p == '"' || *p == '\\')
      printf("\\%c", *p);
    else if (*p < 0x20 || *p >= 0x7f)
      printf("\\u%04x", *p);
    else
      putchar(*p);
  }
  putchar('"');
}

static void print_key(const char *key) {
  printf(",\n");
  print_string(key);
  putchar(':');
}

static void print_number(const char *key, long long value) {
  print_key(key);
  printf("%lld", value);
}

static void print_strings(const char *key, char *const *list) {
  print_key(key);
  putchar('[');
  for (int i = 0; list[i]; i++) {
    if (i) putchar(',');
    print_string(list[i]);
  }
  putchar(']');
}

// Prints the lines of a file as a list; an unreadable file is null.
static void print_lines(const char *key, const char *path) {
  print_key(key);
  FILE *file = fopen(path, "re");
  if (!file) {
    printf("null");
    return;
  }
  char *line = NULL;
  size_t room = 0;
  bool first = true;
  putchar('[');
  while (getline(&line, &room, file) > 0) {
    line[strcspn(line, "\n")] = 0;
    if (!first) putchar(',');
    first = false;
    print_string(line);
  }
  putchar(']');
  free(line);
  fclose(file);
}

static void print_status_fields(void) {
  print_key("status");
  putchar('{');
  FILE *file = fopen("/proc/self/status", "re");
  char line[4096];
  bool first = true;
  while (file && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (!colon) continue;
    *colon = 0;
    char *value = colon + 1 + strspn(colon + 1, " \t");
    value[strcspn(value, "\n")] = 0;
    if (!first) putchar(',');
    first = false;
    print_string(line);
    putchar(':');
    print_string(value);
  }
  if (file) fclose(file);
  putchar('}');
}

// Prints name to link target for every entry of a directory of links.
static void print_links(const char *key, const char *path, int skip_fd) {
  print_key(key);
  putchar('{');
  DIR *directory = opendir(path);
  bool first = true;
  for (struct dirent *entry; directory && (entry = readdir(directory));) {
    if (entry->d_name[0] == '.') continue;
    if (skip_fd >= 0 && atoi(entry->d_name) == dirfd(directory)) continue;
    char target[4096];
    ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
    if (length < 0) continue;
    target[length] = 0;
    if (!first) putchar(',');
    first = false;
    print_string(entry->d_name);
    putchar(':');
    print_string(target);
  }
  if (directory) closedir(directory);
  putchar('}');
}

static void print_rlimits(void) {
  static const struct {
    const char *name;
    int resource;
  } known[] = {{"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},
               {"RLIMIT_CPU", RLIMIT_CPU},         {"RLIMIT_DATA", RLIMIT_DATA},
               {"RLIMIT_FSIZE", RLIMIT_FSIZE},     {"RLIMIT_LOCKS", RLIMIT_LOCKS},
               {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
               {"RLIMIT_NICE", RLIMIT_NICE},       {"RLIMIT_NOFILE", RLIMIT_NOFILE},
               {"RLIMIT_NPROC", RLIMIT_NPROC},     {"RLIMIT_RSS", RLIMIT_RSS},
               {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},
               {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING}, {"RLIMIT_STACK", RLIMIT_STACK}};
  print_key("rlimits");
  putchar('{');
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    struct rlimit limit = {0, 0};
    getrlimit(known[i].resource, &limit);
    printf("%s\"%s\":[%llu,%llu]", i ? "," : "", known[i].name, (unsigned long long)limit.rlim_cur,
           (unsigned long long)limit.rlim_max);
  }
  putchar('}');
}

static void print_groups(void) {
  gid_t groups[1024];
  int count = getgroups(1024, groups);
  print_key("groups");
  putchar('[');
  for (int i = 0; i < count; i++) printf("%s%u", i ? "," : "", groups[i]);
  putchar(']');
}

static void print_terminal(void) {
  print_key("tty");
  putchar('{');
  for (int fd = 0; fd < 3; fd++) printf("%s\"%d\":%s", fd ? "," : "", fd, isatty(fd) ? "true" : "false");
  int controlling = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  printf(",\"controlling\":%s", controlling >= 0 ? "true" : "false");
  if (controlling >= 0) close(controlling);
  struct winsize size = {0, 0, 0, 0};
  ioctl(0, TIOCGWINSZ, &size);
  printf(",\"rows\":%d,\"columns\":%d}", size.ws_row, size.ws_col);
}

static void print_dispositions(void) {
  // Read by system call: the masks in /proc need /proc.
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  print_key("blocked_signals");
  putchar('[');
  bool first = true;
  for (int number = 1; number < 65; number++)
    if (sigismember(&blocked, number) == 1) {
      printf("%s%d", first ? "" : ",", number);
      first = false;
    }
  putchar(']');
  print_key("ignored_signals");
  putchar('[');
  first = true;
  for (int number = 1; number < 65; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
      printf("%s%d", first ? "" : ",", number);
      first = false;
    }
  }
  putchar(']');
}

// The type, owner, permissions and name of the session keyring, as keyctl describes it.
static void print_keyring(void) {
  char text[256] = "";
  long serial = syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* session */, 0);
  if (serial >= 0) syscall(SYS_keyctl, 6 /* KEYCTL_DESCRIBE */, serial, text, sizeof text - 1);
  print_key("session_keyring");
  print_string(text);
}

static int facts(int argc, char **argv) {
  (void)argc;
  char cwd[4096] = "";
  if (!getcwd(cwd, sizeof cwd)) snprintf(cwd, sizeof cwd, "(%s)", strerror(errno));
  struct utsname uts;
  uname(&uts);
  uid_t ruid, euid, suid;
  gid_t rgid, egid, sgid;
  getresuid(&ruid, &euid, &suid);
  getresgid(&rgid, &egid, &sgid);
  mode_t mask = umask(0);
  printf("{\"pid\":%d", getpid());
  print_number("ppid", getppid());
  print_number("sid", getsid(0));
  print_number("pgid", getpgid(0));
  print_key("uids");
  printf("[%u,%u,%u]", ruid, euid, suid);
  print_key("gids");
  printf("[%u,%u,%u]", rgid, egid, sgid);
  print_groups();
  print_number("umask", mask);
  print_key("cwd");
  print_string(cwd);
  print_strings("args", argv);
  print_strings("env", environ);
  print_key("hostname");
  print_string(uts.nodename);
  print_key("domainname");
  print_string(uts.domainname);
  print_number("securebits", prctl(PR_GET_SECUREBITS));
  print_number("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  print_number("keepcaps", prctl(PR_GET_KEEPCAPS));
  print_number("seccomp", prctl(PR_GET_SECCOMP));
  print_number("dumpable", prctl(PR_GET_DUMPABLE));
  int death_signal = 0;
  prctl(PR_GET_PDEATHSIG, &death_signal);
  print_number("pdeathsig", death_signal);
  print_number("personality", personality(0xffffffff));
  print_number("scheduler", sched_getscheduler(0));
  print_number("nice", getpriority(PRIO_PROCESS, 0));
  print_number("ioprio", syscall(SYS_ioprio_get, 1, 0));
  print_keyring();
  print_rlimits();
  print_terminal();
  print_dispositions();
  print_status_fields();
  print_links("fds", "/proc/self/fd", 0);
  print_links("namespaces", "/proc/self/ns", -1);
  print_lines("mountinfo", "/proc/self/mountinfo");
  print_lines("cgroup", "/proc/self/cgroup");
  print_lines("label", "/proc/self/attr/current");
  print_lines("oom_score_adj", "/proc/self/oom_score_adj");
  print_lines("timens_offsets", "/proc/self/timens_offsets");
  print_lines("kernel", "/proc/sys/kernel/osrelease");
  printf("}\n");
  return 0;
}

// Says "ready" on standard output or, when named, into a FIFO.
static int announce(const char *fifo) {
  int fd = fifo ? open(fifo, O_WRONLY | O_CLOEXEC) : 1;
  if (fd < 0) return -1;
  if (write(fd, "ready\n", 6) != 6) return -1;
  if (fifo) close(fd);
  return 0;
}

// hold [FIFO]: waits for SIGTERM, then exits with 7. As pid 1 of a pid
// namespace it would otherwise be immune to every signal but SIGKILL.
static int hold(int argc, char **argv) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  if (announce(argc > 2 ? argv[2] : NULL)) return 99;
  int number;
  sigwait(&set, &number);
  return 7;
}

// catch [FIFO]: prints the number of every signal that arrives, one a line, on
// standard output; SIGTERM ends it with 0.
static int catch_signals(int argc, char **argv) {
  sigset_t set;
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, NULL);
  if (announce(argc > 2 ? argv[2] : NULL)) return 99;
  for (;;) {
    int number;
    if (sigwait(&set, &number)) return 98;
    char line[32];
    int length = snprintf(line, sizeof line, "%d\n", number);
    if (write(1, line, (size_t)length) != length) return 97;
    if (number == SIGTERM) return 0;
  }
}

// winsize [FIFO]: prints "ROWS COLUMNS" of the terminal on standard input now and
// whenever SIGWINCH comes; SIGTERM ends it with 0.
static int window_size(int argc, char **argv) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGWINCH);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  if (argc > 2 && announce(argv[2])) return 99;
  for (;;) {
    struct winsize size;
    if (ioctl(0, TIOCGWINSZ, &size)) return 96;
    char line[32];
    int length = snprintf(line, sizeof line, "%d %d\n", size.ws_row, size.ws_col);
    if (write(1, line, (size_t)length) != length) return 97;
    int number;
    sigwait(&set, &number);
    if (number == SIGTERM) return 0;
  }
}

// die NUMBER: dies of the signal with its default action.
static int die(int argc, char **argv) {
  if (argc < 3) return 95;
  struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  int number = atoi(argv[2]);
  signal(number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, NULL);
  raise(number);
  return 94;
}

// orphan FIFO: leaves a grandchild that holds, to see who collects it.
static int orphan(int argc, char **argv) {
  if (argc < 3) return 95;
  pid_t child = fork();
  if (child < 0) return 93;
  if (child == 0) {
    setsid();
    return hold(argc, argv);
  }
  return 0;
}

// notify TEXT: tells its service manager, as sd_notify(3) does.
static int notify(int argc, char **argv) {
  struct sockaddr_un there = {.sun_family = AF_UNIX};
  const char *path = getenv("NOTIFY_SOCKET");
  if (argc < 3 || !path || strlen(path) >= sizeof there.sun_path) return 95;
  strcpy(there.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  size_t length = strlen(argv[2]);
  return sendto(fd, argv[2], length, 0, (struct sockaddr *)&there, sizeof there) < 0 ? 96 : 0;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(int, char **);
  } parts[] = {{"facts", facts},         {"hold", hold}, {"catch", catch_signals},
               {"winsize", window_size}, {"die", die},   {"orphan", orphan},
               {"notify", notify}};
  if (argc < 2) return facts(argc, argv);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strcmp(argv[1], parts[i].name)) return parts[i].run(argc, argv);
  fprintf(stderr, "probe: no part named '%s'\n", argv[1]);
  return 90;
}
