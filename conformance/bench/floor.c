/* The floor: what the kernel itself takes for one container, and nothing else.
 *
 *   floor run ROOTFS CGROUP2 STATE    one `run` of /bin/true
 *   floor exec PID                    one `exec` of /bin/true beside PID
 *
 * Every call that a container of the bench's kind cannot be without is here once: a cgroup and its
 * device filter, a file of state, one clone3, the mounts, nodes and masks, the new root, the
 * capabilities, execve, and the way back. Nothing is read, checked, or made safe. It is static, as
 * starting is a fifth of it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LAST_CAPABILITY = 40, KILL = 5, NET_BIND_SERVICE = 10, AUDIT_WRITE = 29 };
enum { SAFE = MS_NOSUID | MS_NOEXEC | MS_NODEV };

static long must(long result, const char* what) {
  if (result < 0) {
    perror(what);
    _exit(1);
  }
  return result;
}

/* As long as the filter of a usual container. */
static int load_device_filter(void) {
  enum { LOADS = 30 };
  struct bpf_insn program[LOADS + 2];
  const struct bpf_insn load = {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1};
  for (int i = 0; i < LOADS; i++) program[i] = load;
  program[LOADS] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1};
  program[LOADS + 1] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = (uintptr_t)program;
  attr.insn_cnt = LOADS + 2;
  attr.license = (uintptr_t) "GPL";
  return must(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr), "load the device filter");
}

static int make_cgroup(const char* path) {
  must(mkdir(path, 0755), path);
  int cgroup = must(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path);
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.target_fd = cgroup;
  attr.attach_bpf_fd = load_device_filter();
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  must(syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr), "attach the device filter");
  return cgroup;
}

static void make_state(const char* directory, const char* file) {
  char text[2048];
  memset(text, 'x', sizeof text);
  must(mkdir(directory, 0700), directory);
  int out = must(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), file);
  must(write(out, text, sizeof text), file);
  close(out);
}

static void make_mounts(void) {
  must(mount("proc", "proc", "proc", SAFE, 0), "proc");
  must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"), "dev");
  mkdir("dev/pts", 0755);
  mkdir("dev/shm", 0755);
  mkdir("dev/mqueue", 0755);
  must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
             "newinstance,ptmxmode=0666,mode=0620"),
       "devpts");
  must(mount("shm", "dev/shm", "tmpfs", SAFE, "mode=1777,size=65536k"), "shm");
  must(mount("mqueue", "dev/mqueue", "mqueue", SAFE, 0), "mqueue");
  must(mount("sysfs", "sys", "sysfs", SAFE | MS_RDONLY, 0), "sysfs");
  must(mount("cgroup2", "sys/fs/cgroup", "cgroup2", SAFE | MS_RDONLY, 0), "cgroup2");
}

static void make_devices(void) {
  static const struct {
    const char* path;
    int major, minor;
  } nodes[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
               {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    must(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)),
         nodes[i].path);
  must(symlink("/proc/self/fd", "dev/fd"), "fd");
  must(symlink("/proc/self/fd/0", "dev/stdin"), "stdin");
  must(symlink("/proc/self/fd/1", "dev/stdout"), "stdout");
  must(symlink("/proc/self/fd/2", "dev/stderr"), "stderr");
  must(symlink("pts/ptmx", "dev/ptmx"), "ptmx");
}

/* What a kernel lacks is not there to be hidden. */
static void hide(void) {
  static const char* const masked[] = {"proc/kcore", "proc/keys", "proc/timer_list"};
  static const char* const frozen[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys",
                                       "proc/sysrq-trigger"};
  for (size_t i = 0; i < sizeof masked / sizeof *masked; i++)
    mount("/dev/null", masked[i], 0, MS_BIND, 0);
  for (size_t i = 0; i < sizeof frozen / sizeof *frozen; i++)
    if (!mount(frozen[i], frozen[i], 0, MS_BIND | MS_REC, 0))
      mount(0, frozen[i], 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0);
}

static void become_true(void) {
  for (int i = 0; i <= LAST_CAPABILITY; i++)
    if (i != KILL && i != NET_BIND_SERVICE && i != AUDIT_WRITE) prctl(PR_CAPBSET_DROP, i);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  char* arguments[] = {"true", 0};
  char* environment[] = {"PATH=/bin", 0};
  execve("/bin/true", arguments, environment);
  perror("execve");
  _exit(127);
}

static void be_init(const char* rootfs) {
  must(mount(0, "/", 0, MS_REC | MS_SLAVE, 0), "slave");
  must(mount(rootfs, rootfs, 0, MS_BIND | MS_REC, 0), "bind the rootfs");
  must(chdir(rootfs), rootfs);
  make_mounts();
  make_devices();
  hide();
  must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  must(umount2(".", MNT_DETACH), "detach the old root");
  must(chdir("/"), "/");
  must(sethostname("x", 1), "sethostname");
  become_true();
}

static int await(pid_t pid) {
  int status = 0;
  must(waitpid(pid, &status, 0), "waitpid");
  return status != 0;
}

static int run(const char* rootfs, const char* cgroups, const char* states) {
  char path[512], directory[512], file[600];
  snprintf(path, sizeof path, "%s/floor-%d", cgroups, getpid());
  snprintf(directory, sizeof directory, "%s/%d", states, getpid());
  snprintf(file, sizeof file, "%s/state", directory);
  int cgroup = make_cgroup(path);
  make_state(directory, file);
  struct clone_args args;
  memset(&args, 0, sizeof args);
  args.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
               CLONE_NEWCGROUP | CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = cgroup;
  pid_t pid = must(syscall(SYS_clone3, &args, sizeof args), "clone3");
  if (pid == 0) be_init(rootfs);
  int failed = await(pid);
  unlink(file);
  rmdir(directory);
  must(rmdir(path), path);
  return failed;
}

static int run_beside(pid_t target) {
  const int all =
      CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;
  must(setns(must(syscall(SYS_pidfd_open, target, 0), "pidfd_open"), all), "setns");
  pid_t pid = must(fork(), "fork");
  if (pid == 0) become_true();
  return await(pid);
}

int main(int count, char** words) {
  if (count == 5 && !strcmp(words[1], "run")) return run(words[2], words[3], words[4]);
  if (count == 3 && !strcmp(words[1], "exec")) return run_beside(atoi(words[2]));
  fputs("usage: floor run ROOTFS CGROUP2 STATE | floor exec PID\n", stderr);
  return 2;
}
