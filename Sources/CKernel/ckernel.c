#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

// Numbers of calls newer than the C library's headers; the same on every architecture since 5.0.
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

struct open_how_v0 {
  uint64_t flags, mode, resolve;
};
struct mount_attr_v0 {
  uint64_t attr_set, attr_clr, propagation, userns_fd;
};
struct sched_attr_v1 {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t util_min, util_max;
};

unsigned long nemo_random_seed(void) {
  const unsigned long *bytes = (const unsigned long *)getauxval(AT_RANDOM);
  return (bytes ? bytes[0] ^ bytes[1] : (unsigned long)getpid()) | 1;
}
pid_t nemo_clone3(const struct nemo_clone_args *args) { return (pid_t)syscall(SYS_clone3, args, sizeof(*args)); }
int nemo_pidfd_open(pid_t pid, unsigned int flags) { return (int)syscall(SYS_pidfd_open, pid, flags); }
int nemo_pidfd_send_signal(int pidfd, int signal) { return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0); }
int nemo_pidfd_getfd(int pidfd, int target) { return (int)syscall(SYS_pidfd_getfd, pidfd, target, 0); }
int nemo_setns(int fd, int flags) { return setns(fd, flags); }
int nemo_unshare(int flags) { return unshare(flags); }
long nemo_getdents(int fd, void *buffer, size_t size) { return syscall(SYS_getdents64, fd, buffer, size); }
int nemo_close_range(unsigned int first, unsigned int last, unsigned int flags) {
  return (int)syscall(SYS_close_range, first, last, flags);
}
int nemo_pivot_root(const char *new_root, const char *put_old) { return (int)syscall(SYS_pivot_root, new_root, put_old); }
int nemo_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how_v0 how = {flags, mode, resolve};
  return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}
int nemo_open_tree(int dirfd, const char *path, unsigned int flags) { return (int)syscall(SYS_open_tree, dirfd, path, flags); }
int nemo_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned int flags) {
  return (int)syscall(SYS_move_mount, from_dirfd, from, to_dirfd, to, flags);
}
int nemo_fsopen(const char *type, unsigned int flags) { return (int)syscall(SYS_fsopen, type, flags); }
int nemo_fsconfig(int fd, unsigned int command, const char *key, const void *value, int aux) {
  return (int)syscall(SYS_fsconfig, fd, command, key, value, aux);
}
int nemo_fsmount(int fd, unsigned int flags, unsigned int attributes) {
  return (int)syscall(SYS_fsmount, fd, flags, attributes);
}
int nemo_mount_setattr(int dirfd, const char *path, unsigned int flags, uint64_t set, uint64_t clear,
                       uint64_t propagation, uint64_t userns_fd) {
  struct mount_attr_v0 attributes = {set, clear, propagation, userns_fd};
  return (int)syscall(SYS_mount_setattr, dirfd, path, flags, &attributes, sizeof(attributes));
}
int nemo_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags) {
  return (int)syscall(SYS_execveat, dirfd, path, argv, envp, flags);
}
int nemo_join_session_keyring(const char *name) { return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name); }
int nemo_keyctl_setperm(int key, unsigned int permissions) {
  return (int)syscall(SYS_keyctl, KEYCTL_SETPERM, key, permissions);
}
int nemo_keyctl_describe(int key, char *buffer, size_t length) {
  return (int)syscall(SYS_keyctl, KEYCTL_DESCRIBE, key, buffer, length);
}
int nemo_prctl(int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5) {
  return prctl(option, a2, a3, a4, a5);
}
int nemo_seccomp(unsigned int operation, unsigned int flags, void *arguments) {
  return (int)syscall(SYS_seccomp, operation, flags, arguments);
}
int nemo_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {
      {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
      {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)}};
  return (int)syscall(SYS_capset, &header, data);
}
int nemo_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  memset(data, 0, sizeof(data));
  if (syscall(SYS_capget, &header, data) != 0) return -1;
  *effective = data[0].effective | (uint64_t)data[1].effective << 32;
  *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
  *inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
  return 0;
}
int nemo_personality(unsigned long persona) { return (int)syscall(SYS_personality, persona); }
int nemo_ioprio_set(int which, int who, int priority) { return (int)syscall(SYS_ioprio_set, which, who, priority); }
int nemo_sched_setattr(pid_t pid, uint32_t policy, uint64_t flags, int32_t nice, uint32_t priority, uint64_t runtime,
                       uint64_t deadline, uint64_t period) {
  struct sched_attr_v1 a = {sizeof(a), policy, flags, nice, priority, runtime, deadline, period, 0, 0};
  return (int)syscall(SYS_sched_setattr, pid, &a, 0);
}
int nemo_sched_setaffinity(pid_t pid, size_t length, const void *mask) {
  return (int)syscall(SYS_sched_setaffinity, pid, length, mask);
}
int nemo_sched_getaffinity(pid_t pid, size_t length, void *mask) {
  return (int)syscall(SYS_sched_getaffinity, pid, length, mask);
}
int nemo_set_mempolicy(int mode, const unsigned long *mask, unsigned long maxnode) {
  return (int)syscall(SYS_set_mempolicy, mode, mask, maxnode);
}
int nemo_mknodat(int dirfd, const char *path, mode_t mode, unsigned int major, unsigned int minor) {
  return mknodat(dirfd, path, mode, makedev(major, minor));
}
// The C library's wrappers of these four broadcast to threads; there are none, and the child of a raw clone must not use them.
int nemo_setgroups(size_t count, const gid_t *groups) { return (int)syscall(SYS_setgroups, count, groups); }
int nemo_setresuid(uid_t r, uid_t e, uid_t s) { return (int)syscall(SYS_setresuid, r, e, s); }
int nemo_setresgid(gid_t r, gid_t e, gid_t s) { return (int)syscall(SYS_setresgid, r, e, s); }
int nemo_ioctl_int(int fd, unsigned long request, int value) { return ioctl(fd, request, value); }
int nemo_ioctl_pointer(int fd, unsigned long request, void *value) { return ioctl(fd, request, value); }
int nemo_prlimit(pid_t pid, int resource, uint64_t soft, uint64_t hard) {
  struct rlimit64 limit = {soft, hard};
  return (int)syscall(SYS_prlimit64, pid, resource, &limit, NULL);
}

int nemo_loopback_up(void) {
  int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (s < 0) return -1;
  struct ifreq request;
  memset(&request, 0, sizeof(request));
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  int result = ioctl(s, SIOCSIFFLAGS, &request);
  int error = errno;
  close(s);
  errno = error;
  return result;
}

enum { MAX_DESCRIPTORS = 64 };

ssize_t nemo_send_descriptors(int socket, const void *bytes, size_t length, const int *descriptors, size_t count) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
  } control;
  struct iovec vector = {(void *)(uintptr_t)bytes, length};
  struct msghdr message;
  memset(&message, 0, sizeof(message));
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (count > MAX_DESCRIPTORS) {
    errno = EINVAL;
    return -1;
  }
  if (count > 0) {
    memset(&control, 0, sizeof(control));
    message.msg_control = control.space;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), descriptors, sizeof(int) * count);
  }
  ssize_t n;
  do n = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n;
}

ssize_t nemo_receive_descriptors(int socket, void *bytes, size_t length, int *descriptors, size_t capacity,
                                 size_t *count) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
  } control;
  struct iovec vector = {bytes, length};
  struct msghdr message;
  memset(&message, 0, sizeof(message));
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.space;
  message.msg_controllen = sizeof(control.space);
  *count = 0;
  ssize_t n;
  do n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0) return n;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int received[MAX_DESCRIPTORS];
    memcpy(received, CMSG_DATA(c), got * sizeof(int));
    for (size_t i = 0; i < got; i++) {
      if (*count < capacity)
        descriptors[(*count)++] = received[i];
      else
        close(received[i]);
    }
  }
  if (message.msg_flags & MSG_CTRUNC) {
    for (size_t i = 0; i < *count; i++) close(descriptors[i]);
    *count = 0;
    errno = EMSGSIZE;
    return -1;
  }
  return n;
}

static int unix_address(struct sockaddr_un *address, const char *path) {
  memset(address, 0, sizeof(*address));
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof(address->sun_path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address->sun_path, path);
  return 0;
}

static int close_failed(int s) {
  int error = errno;
  close(s);
  errno = error;
  return -1;
}

int nemo_unix_connect(const char *path, int type) {
  struct sockaddr_un address;
  if (unix_address(&address, path) != 0) return -1;
  socklen_t length = sizeof(address);
  if (path[0] == '@') {
    address.sun_path[0] = 0;
    length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
  }
  int s = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (s < 0) return -1;
  return connect(s, (struct sockaddr *)&address, length) == 0 ? s : close_failed(s);
}

int nemo_unix_bind(const char *path, int type) {
  struct sockaddr_un address;
  if (unix_address(&address, path) != 0) return -1;
  int s = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (s < 0) return -1;
  return bind(s, (struct sockaddr *)&address, sizeof(address)) == 0 ? s : close_failed(s);
}

int nemo_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int nemo_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
int nemo_pty_peer(int master) { return ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC); }
int nemo_pty_unlock(int master) {
  int locked = 0;
  return ioctl(master, TIOCSPTLCK, &locked);
}
int nemo_pty_number(int master, unsigned int *number) { return ioctl(master, TIOCGPTN, number); }

int nemo_signal_descriptor(void) {
  sigset_t all;
  int kept[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  sigfillset(&all);
  for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) sigdelset(&all, kept[i]);
  if (sigprocmask(SIG_BLOCK, &all, NULL) != 0) return -1;
  return signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
}
int nemo_next_signal(int fd) {
  struct signalfd_siginfo info;
  return read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ? (int)info.ssi_signo : -1;
}

unsigned int nemo_major(dev_t device) { return major(device); }
unsigned int nemo_minor(dev_t device) { return minor(device); }
int nemo_wifexited(int status) { return WIFEXITED(status); }
int nemo_wexitstatus(int status) { return WEXITSTATUS(status); }
int nemo_wifsignaled(int status) { return WIFSIGNALED(status); }
int nemo_wtermsig(int status) { return WTERMSIG(status); }

const char *nemo_errno_name(int error) {
  const char *name = strerrorname_np(error);
  return name ? name : "errno";
}
int nemo_get_errno(void) { return errno; }
void nemo_set_errno(int error) { errno = error; }
char **nemo_environ(void) { return environ; }

int64_t nemo_filesystem_magic(int fd) {
  struct statfs s;
  if (fstatfs(fd, &s) != 0) return -1;
  return (int64_t)(unsigned long)s.f_type;
}

void nemo_syslog(const char *identity, int priority, const char *text) {
  openlog(identity, LOG_PID, LOG_USER);
  syslog(priority, "%s", text);
  closelog();
}

const char *nemo_build_commit(void) { return NEMO_COMMIT; }
