// Does one thing that Landlock can forbid, and says how it went: "ok", or the errno's name. Two subcommands run another program in a
// kernel that answers Landlock's calls wrongly, or under restrictions already.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int report(long result) {
  const char *name = result < 0 ? strerrorname_np(errno) : "ok";
  printf("%s\n", name ? name : "?");
  return result < 0;
}

static int execute(const char *path) {
  pid_t pid = fork();
  if (pid == 0) {
    execl(path, path, "nothing", NULL);
    _exit(errno);
  }
  int status;
  waitpid(pid, &status, 0);
  errno = WEXITSTATUS(status);
  return report(errno ? -1 : 0);
}

static int tcp(const char *port, int listening) {
  int s = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  return report((listening ? bind : connect)(s, (struct sockaddr *)&a, sizeof a));
}

static int abstract(const char *name) {
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  strncpy(a.sun_path + 1, name, sizeof a.sun_path - 2);
  return report(connect(s, (struct sockaddr *)&a, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

static int ioctl_on(const char *path) {
  struct termios t;
  int fd = open(path, O_RDONLY);
  return fd < 0 ? report(-1) : report(ioctl(fd, TCGETS, &t));
}

static int trace(pid_t pid) {
  long result = ptrace(PTRACE_SEIZE, pid, NULL, NULL);
  int error = errno;
  if (result == 0) {
    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
    waitpid(pid, NULL, __WALL);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
  }
  errno = error;
  return report(result);
}

// lock answering CALL ERRNO COMMAND...: the call answers that errno; 0 is success that has not happened.
static int answering(char **argv) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, strtoul(argv[0], NULL, 0), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | strtoul(argv[1], NULL, 0)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return 2;
  execvp(argv[2], argv + 2);
  return 2;
}

// lock nested N COMMAND...: under N restrictions that concern only TCP.
static int nested(char **argv) {
  struct {
    uint64_t files, ports;
  } attributes = {0, 1};
  for (int i = atoi(argv[0]); i > 0; i--) {
    int fd = syscall(444, &attributes, sizeof attributes, 0);
    if (fd < 0 || syscall(446, fd, 0) != 0) return 2;
    close(fd);
  }
  execvp(argv[1], argv + 1);
  return 2;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  char **a = argv + 2;
#define IS(name, count) (strcmp(what, name) == 0 && argc >= 2 + (count))
  if (IS("execute", 1)) return execute(a[0]);
  if (IS("read", 1)) return report(open(a[0], O_RDONLY));
  if (IS("write", 1)) return report(open(a[0], O_WRONLY));
  if (IS("truncate", 1)) return report(truncate(a[0], 0));
  if (IS("list", 1)) return report(open(a[0], O_RDONLY | O_DIRECTORY));
  if (IS("unlink", 1)) return report(unlink(a[0]));
  if (IS("rmdir", 1)) return report(rmdir(a[0]));
  if (IS("mkdir", 1)) return report(mkdir(a[0], 0700));
  if (IS("mknod", 2)) return report(mknod(a[0], strtoul(a[1], NULL, 8) | 0600, 0x103));
  if (IS("symlink", 1)) return report(symlink("target", a[0]));
  if (IS("rename", 2)) return report(rename(a[0], a[1]));
  if (IS("link", 2)) return report(link(a[0], a[1]));
  if (IS("ioctl", 1)) return ioctl_on(a[0]);
  if (IS("bind", 1)) return tcp(a[0], 1);
  if (IS("connect", 1)) return tcp(a[0], 0);
  if (IS("kill", 1)) return report(kill(atoi(a[0]), 0));
  if (IS("trace", 1)) return trace(atoi(a[0]));
  if (IS("abstract", 1)) return abstract(a[0]);
  if (IS("answering", 3)) return answering(a);
  if (IS("nested", 2)) return nested(a);
  if (IS("nothing", 0)) return 0;
  fprintf(stderr, "lock: no such deed\n");
  return 2;
}
