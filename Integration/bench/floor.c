// The floor: the kernel work that a container costs, and nothing else.
//
// A plain C program without configuration parsing, validation, hooks, logging or error recovery. It follows a plan
// (one line per step, written by bench.py from a config.json) and makes the same namespaces, mounts, cgroups,
// capabilities and system call filter as a runtime would. Like one it keeps its own file out of the container's reach
// (CVE-2019-5736), writes down what it made before the program runs, and can be looked into by nobody. What a runtime
// takes beyond this is its own.
//
//   floor PLAN ROOT run|create|start|delete ID
//   floor PLAN ROOT exec ID COMMAND [ARGUMENT...]
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

enum { MAX_LINES = 256, MAX_FIELDS = 8, MAX_CGROUPS = 32 };

static char *lines[MAX_LINES][MAX_FIELDS];
static int line_count;
static int cgroup_fds[MAX_CGROUPS];
static int cgroup_count;

static void die(const char *what, const char *subject) {
  fprintf(stderr, "floor: %s %s: %s\n", what, subject ? subject : "", strerror(errno));
  _exit(1);
}

static char *format(const char *text, ...) {
  char *result;
  va_list arguments;
  va_start(arguments, text);
  if (vasprintf(&result, text, arguments) < 0) die("allocate", "");
  va_end(arguments);
  return result;
}

static char *read_file(const char *path, size_t *size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die("open", path);
  struct stat st;
  if (fstat(fd, &st) < 0) die("stat", path);
  char *text = malloc(st.st_size + 1);
  ssize_t n = text ? read(fd, text, st.st_size) : -1;
  if (n < 0) die("read", path);
  text[n] = 0;
  close(fd);
  if (size) *size = n;
  return text;
}

static void write_file(const char *path, const char *value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) die("open", path);
  if (write(fd, value, strlen(value)) < 0) die("write", path);
  close(fd);
}

// A read-only mount of this program's file, which a container that gets hold of it cannot write through.
static void protect_self(void) {
  struct { uint64_t set, clear, propagation, userns; } read_only = {1 /* MOUNT_ATTR_RDONLY */, 0, 0, 0};
  int tree = syscall(428 /* open_tree */, AT_FDCWD, "/proc/self/exe", 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);
  if (tree < 0) die("open_tree", "/proc/self/exe");
  if (syscall(442 /* mount_setattr */, tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0) die("mount_setattr", "");
  if (prctl(PR_SET_DUMPABLE, 0) < 0) die("prctl", "");
  close(tree);
}

static void load_plan(const char *path) {
  char *text = read_file(path, NULL);
  for (char *line; (line = strsep(&text, "\n")) && *line && line_count < MAX_LINES; line_count++)
    for (int i = 0; i < MAX_FIELDS && line; i++) lines[line_count][i] = strsep(&line, "\t");
}

static int is(int line, const char *word) { return strcmp(lines[line][0], word) == 0; }
static uint64_t number(const char *text) { return strtoull(text, NULL, 0); }
static char *find(const char *word) {
  for (int i = 0; i < line_count; i++)
    if (is(i, word)) return lines[i][1] ? lines[i][1] : "";
  return NULL;
}

// Makes the container's directory in every hierarchy, sets its limits, and keeps its list of tasks open: the
// container's process joins by itself, which is the cheap way (the kernel need not look up and lock another process).
static void make_cgroups(const char *id) {
  char *directory = NULL;
  for (int i = 0; i < line_count; i++) {
    if (is(i, "cgroup")) {
      directory = format("%s/%s", lines[i][1], id);
      if (mkdir(directory, 0755) < 0) die("mkdir", directory);
    } else if (is(i, "set")) {
      write_file(format("%s/%s", directory, lines[i][1]), lines[i][2]);
    }
  }
}

static void open_cgroups(const char *id) {
  for (int i = 0; i < line_count; i++)
    if (is(i, "cgroup")) {
      char *tasks = format("%s/%s/%s", lines[i][1], id, lines[i][2]);
      if ((cgroup_fds[cgroup_count++] = open(tasks, O_WRONLY | O_CLOEXEC)) < 0) die("open", tasks);
    }
}

static void join_cgroups(void) {
  for (int i = 0; i < cgroup_count; i++)
    if (write(cgroup_fds[i], "0", 1) < 0) die("join cgroup", "");
}

static void remove_cgroups(const char *id) {
  for (int i = 0; i < line_count; i++)
    if (is(i, "cgroup")) {
      char *directory = format("%s/%s", lines[i][1], id);
      while (rmdir(directory) < 0)
        if (errno != EBUSY) die("rmdir", directory);
        else usleep(100);
    }
}

static void bind(const char *source, const char *target, unsigned long flags) {
  if (mount(source, target, NULL, MS_BIND, NULL) < 0) die("bind", target);
  if (flags && mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | flags, NULL) < 0) die("remount", target);
}

// /sys/fs/cgroup on cgroup v1: a tmpfs with the container's own directory of every hierarchy bound into it.
static void mount_cgroups(const char *id, const char *rootfs, char **field) {
  char *target = format("%s%s", rootfs, field[1]);
  unsigned long flags = number(field[2]);
  if (mount("tmpfs", target, "tmpfs", flags & ~MS_RDONLY, "mode=755") < 0) die("mount", target);
  for (int i = 0; i < line_count; i++)
    if (is(i, "cgroup")) {
      char *directory = format("%s/%s", target, lines[i][3]);
      if (mkdir(directory, 0755) < 0) die("mkdir", directory);
      bind(format("%s/%s", lines[i][1], id), directory, flags);
    } else if (is(i, "cgroup-link")) {
      char *link = format("%s/%s", target, lines[i][2]);
      if (symlink(lines[i][1], link) < 0) die("symlink", link);
    }
  if (flags & MS_RDONLY && mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | flags, NULL) < 0) die("remount", target);
}

static void make_root(const char *id, const char *rootfs) {
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) die("make private", "/");
  if (mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL) < 0) die("bind", rootfs);
  for (int i = 0; i < line_count; i++) {
    char **field = lines[i];
    if (is(i, "mount")) {
      char *target = format("%s%s", rootfs, field[3]);
      if (mkdir(target, 0755) < 0 && errno != EEXIST) die("mkdir", target);
      if (mount(field[2], target, field[1], number(field[4]), field[5]) < 0) die("mount", target);
    } else if (is(i, "cgroupfs")) {
      mount_cgroups(id, rootfs, field);
    } else if (is(i, "device")) {
      char *path = format("%s%s", rootfs, field[1]);
      if (mknod(path, S_IFCHR | 0666, makedev(number(field[2]), number(field[3]))) < 0) die("mknod", path);
      if (chmod(path, 0666) < 0) die("chmod", path);
    } else if (is(i, "symlink")) {
      char *path = format("%s%s", rootfs, field[2]);
      if (symlink(field[1], path) < 0) die("symlink", path);
    }
  }
  if (chdir(rootfs) < 0) die("chdir", rootfs);
  if (syscall(SYS_pivot_root, ".", ".") < 0) die("pivot_root", rootfs);
  if (umount2(".", MNT_DETACH) < 0) die("umount", "old root");
  if (chdir("/") < 0) die("chdir", "/");
}

// Inside the new root: what is set, hidden or read-only there.
static void close_root(void) {
  for (int i = 0; i < line_count; i++) {
    char *path = lines[i][1];
    if (is(i, "sysctl")) {
      write_file(path, lines[i][2]);
    } else if (is(i, "readonly")) {
      if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0) {
        if (errno == ENOENT) continue;
        die("bind", path);
      }
      unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
      if (mount(NULL, path, NULL, flags, NULL) < 0) die("remount", path);
    } else if (is(i, "mask")) {
      if (mount("/dev/null", path, NULL, MS_BIND, NULL) == 0 || errno == ENOENT) continue;
      if (errno != ENOTDIR) die("mask", path);
      if (mount("tmpfs", path, "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1") < 0) die("mask", path);
    } else if (is(i, "readonly-root")) {
      if (mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0) die("remount", "/");
    }
  }
}

// Identity, limits, capabilities and filter: the same for a container's first process and for a later one.
static void confine(void) {
  int privileges_kept = find("no-new-privileges") == NULL;
  char *filter = find("seccomp");
  struct sock_fprog program = {0};
  if (filter) {
    // Opened before the root changed; /proc of the container cannot be used for that.
    size_t size = lseek(number(filter), 0, SEEK_END);
    program.filter = malloc(size);
    program.len = size / sizeof(struct sock_filter);
    if (pread(number(filter), program.filter, size, 0) != (ssize_t)size) die("read", "filter");
  }
  if (syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL) < 0) die("keyctl", "");
  setsid();
  for (int i = 0; i < line_count; i++)
    if (is(i, "rlimit")) {
      struct rlimit limit = {number(lines[i][2]), number(lines[i][3])};
      if (setrlimit(number(lines[i][1]), &limit) < 0) die("setrlimit", lines[i][1]);
    }
  if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) die("set identity", "");
  if (filter && privileges_kept && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) die("seccomp", "");
  for (int i = 0; i < line_count; i++)
    if (is(i, "capabilities")) {
      uint64_t bounding = number(lines[i][1]), effective = number(lines[i][2]), permitted = number(lines[i][3]);
      for (int c = 0; c < 64; c++)
        if (!(bounding >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno == EINVAL) break;
      struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
      struct __user_cap_data_struct data[2] = {{effective, permitted, 0}, {effective >> 32, permitted >> 32, 0}};
      if (syscall(SYS_capset, &header, data) < 0) die("capset", "");
      if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) die("clear ambient capabilities", "");
    }
  if (!privileges_kept) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) die("set no_new_privs", "");
    if (filter && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) die("seccomp", "");
  }
}

static void execute(char **arguments) {
  char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL};
  syscall(SYS_close_range, 3, ~0U, 1 << 2 /* CLOSE_RANGE_CLOEXEC */);
  execve(arguments[0], arguments, environment);
  die("execve", arguments[0]);
}

static void open_filter(void) {
  for (int i = 0; i < line_count; i++)
    if (is(i, "seccomp")) {
      int fd = open(lines[i][1], O_RDONLY | O_CLOEXEC);
      if (fd < 0) die("open", lines[i][1]);
      lines[i][1] = format("%d", fd);
    }
}

static pid_t clone_into(uint64_t flags, int *pidfd) {
  struct clone_args arguments = {
      .flags = flags | CLONE_PIDFD, .pidfd = (uintptr_t)pidfd, .exit_signal = SIGCHLD};
  pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0) die("clone3", "");
  return pid;
}

// The container's first process; never returns. `ready` is closed when all is in place, `go` gives the word to start.
static void become_container(const char *id, int ready, int go) {
  char *arguments[MAX_FIELDS] = {0};
  join_cgroups();
  if (find("cgroup-namespace") && unshare(CLONE_NEWCGROUP) < 0) die("unshare", "cgroup");
  char *score = find("oom-score-adj");
  if (score) write_file("/proc/self/oom_score_adj", score);
  make_root(id, find("rootfs"));
  if (sethostname(find("hostname"), strlen(find("hostname"))) < 0) die("sethostname", "");
  close_root();
  for (int i = 0, n = 0; i < line_count; i++)
    if (is(i, "argument")) arguments[n++] = lines[i][1];
  char byte;
  if (ready >= 0) close(ready);
  if (go >= 0 && read(go, &byte, 1) != 1) die("wait for", "start");
  confine();
  execute(arguments);
}

static int wait_for(pid_t pid) {
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) die("wait", "");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *make_state(const char *root, const char *id) {
  char *directory = format("%s/%s", root, id);
  if (mkdir(directory, 0700) < 0) die("mkdir", directory);
  return directory;
}

static void write_state(const char *directory, pid_t pid) {
  char *state = format("%s/state", directory), *temporary = format("%s/state.new", directory);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || dprintf(fd, "%d\n", pid) < 0 || fsync(fd) < 0 || rename(temporary, state) < 0) die("write", state);
  close(fd);
}

static void remove_state(const char *directory) {
  unlink(format("%s/start", directory));
  unlink(format("%s/state", directory));
  if (rmdir(directory) < 0) die("rmdir", directory);
}

static int run(const char *root, const char *id) {
  int pidfd, go[2];
  char *directory = make_state(root, id);
  if (pipe2(go, O_CLOEXEC) < 0) die("pipe", "");
  make_cgroups(id);
  open_cgroups(id);
  open_filter();
  pid_t pid = clone_into(number(find("clone")), &pidfd);
  if (pid == 0) become_container(id, -1, go[0]);
  write_state(directory, pid);
  if (write(go[1], "s", 1) != 1) die("start", id);
  int code = wait_for(pid);
  remove_cgroups(id);
  remove_state(directory);
  return code;
}

static int create(const char *root, const char *id) {
  char *directory = make_state(root, id), *fifo = format("%s/start", directory);
  int ready[2], pidfd;
  if (mkfifo(fifo, 0600) < 0) die("mkfifo", fifo);
  int go = open(fifo, O_RDWR | O_CLOEXEC);
  if (go < 0 || pipe2(ready, O_CLOEXEC) < 0) die("open", fifo);
  make_cgroups(id);
  open_cgroups(id);
  open_filter();
  pid_t pid = clone_into(number(find("clone")), &pidfd);
  if (pid == 0) {
    close(ready[0]);
    become_container(id, ready[1], go);
  }
  close(ready[1]);
  write_state(directory, pid);
  char byte;
  if (read(ready[0], &byte, 1) != 0) die("wait for", "container");
  return 0;
}

static int start(const char *root, const char *id) {
  write_file(format("%s/%s/start", root, id), "s");
  return 0;
}

static int delete(const char *root, const char *id) {
  char *directory = format("%s/%s", root, id);
  pid_t pid = atoi(read_file(format("%s/state", directory), NULL));
  int pidfd = syscall(SYS_pidfd_open, pid, 0);
  if (pidfd >= 0) {
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    if (poll(&ended, 1, -1) < 0) die("poll", "");
  } else if (errno != ESRCH) {
    die("pidfd_open", "");
  }
  remove_cgroups(id);
  remove_state(directory);
  return 0;
}

static int exec(const char *root, const char *id, char **arguments) {
  pid_t target = atoi(read_file(format("%s/%s/state", root, id), NULL));
  int pidfd = syscall(SYS_pidfd_open, target, 0), child;
  if (pidfd < 0) die("pidfd_open", id);
  open_cgroups(id);
  open_filter();
  uint64_t namespaces = number(find("clone")) | (find("cgroup-namespace") ? CLONE_NEWCGROUP : 0);
  if (setns(pidfd, namespaces) < 0) die("setns", id);
  pid_t pid = clone_into(0, &child);
  if (pid == 0) {
    join_cgroups();
    if (chdir("/") < 0) die("chdir", "/");
    confine();
    execute(arguments);
  }
  return wait_for(pid);
}

int main(int count, char **arguments) {
  if (count < 5) {
    fprintf(stderr, "usage: floor PLAN ROOT run|create|start|delete|exec ID [COMMAND...]\n");
    return 1;
  }
  char *root = arguments[2], *verb = arguments[3], *id = arguments[4];
  load_plan(arguments[1]);
  umask(022);
  if (strcmp(verb, "run") == 0 || strcmp(verb, "create") == 0 || strcmp(verb, "exec") == 0) protect_self();
  if (strcmp(verb, "run") == 0) return run(root, id);
  if (strcmp(verb, "create") == 0) return create(root, id);
  if (strcmp(verb, "start") == 0) return start(root, id);
  if (strcmp(verb, "delete") == 0) return delete(root, id);
  if (strcmp(verb, "exec") == 0) return exec(root, id, arguments + 5);
  fprintf(stderr, "floor: unknown verb %s\n", verb);
  return 1;
}
