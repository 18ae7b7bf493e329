// Questions to the kernel that Swift cannot ask itself. Each is tried, in a child where it would change the process; nothing of it stays.
// The answer is 0, or the errno of the first step that failed, unless it says otherwise.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

// The highest Landlock ABI (landlock(7)); negative errno where there is none.
static inline int host_landlock_abi(void) {
  long abi = syscall(444, NULL, 0, 1U);
  return abi < 0 ? -errno : (int)abi;
}

// Whether filters may answer with this action (seccomp(2)).
static inline int host_seccomp_action(uint32_t action) {
  return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 0 : errno;
}

// unshare(2) in a child.
static inline int host_unshare(unsigned long flags) {
  pid_t pid = fork();
  if (pid == 0) _exit(syscall(SYS_unshare, flags) == 0 ? 0 : errno);
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) < 0) return errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

// Sends one request to a netlink family and looks at the first answer.
static inline int host_netlink(int family, unsigned short type, const void *payload, unsigned length, char *answer, int *size) {
  struct {
    struct nlmsghdr header;
    char payload[64];
  } request = {{NLMSG_LENGTH(length), type, NLM_F_REQUEST, 1, 0}, {0}};
  struct timeval patience = {1, 0};
  int result = 0, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
  if (fd < 0) return errno;
  memcpy(request.payload, payload, length);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  struct nlmsghdr *header = (struct nlmsghdr *)answer;
  if (send(fd, &request, request.header.nlmsg_len, 0) < 0 || (*size = (int)recv(fd, answer, (size_t)*size, 0)) < (int)sizeof *header)
    result = errno ? errno : EPROTO;
  else if (header->nlmsg_type == NLMSG_ERROR)
    result = -((struct nlmsgerr *)NLMSG_DATA(header))->error;
  close(fd);
  return result;
}

// nf_tables: asks for the number of its generation (NFT_MSG_GETGEN, linux/netfilter/nf_tables.h).
static inline int host_nftables(void) {
  char answer[512] __attribute__((aligned(8))), payload[4] = {0};
  int size = sizeof answer;
  return host_netlink(NETLINK_NETFILTER, (10 << 8) | 16, payload, sizeof payload, answer, &size);
}

// The kernel's audit: *enabled is AUDIT_GET's field, 0 off, 1 on, 2 locked (linux/audit.h).
static inline int host_audit(unsigned *enabled) {
  char answer[512] __attribute__((aligned(8)));
  int size = sizeof answer;
  int result = host_netlink(NETLINK_AUDIT, 1000, "", 0, answer, &size);
  if (result == 0 && size >= (int)(NLMSG_HDRLEN + 8)) memcpy(enabled, answer + NLMSG_HDRLEN + 4, sizeof *enabled);
  return result;
}

// Writes a file of /proc.
static inline int host_write(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int result = write(fd, text, strlen(text)) < 0 ? errno : 0;
  close(fd);
  return result;
}

// Idmapped mounts of the file system at `path` (mount_setattr(2)): on a copy of the mount that is attached nowhere.
static inline int host_idmapped(const char *path) {
  char name[64];
  int ready[2], result = 0;
  if (pipe(ready)) return errno;
  pid_t pid = fork();
  if (pid == 0) {
    char byte;
    close(ready[1]);
    if (syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */)) _exit(errno);
    kill(getpid(), SIGSTOP);
    _exit(read(ready[0], &byte, 1) < 0);
  }
  close(ready[0]);
  int status = 0, users = -1, tree = -1;
  if (pid < 0 || waitpid(pid, &status, WUNTRACED) < 0) {
    result = errno;
  } else if (!WIFSTOPPED(status)) {
    result = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
  } else {
    snprintf(name, sizeof name, "/proc/%d/uid_map", pid);
    result = host_write(name, "0 100000 65536");
    snprintf(name, sizeof name, "/proc/%d/gid_map", pid);
    if (!result) result = host_write(name, "0 100000 65536");
    snprintf(name, sizeof name, "/proc/%d/ns/user", pid);
    if (!result && ((users = open(name, O_RDONLY | O_CLOEXEC)) < 0 || (tree = (int)syscall(428, AT_FDCWD, path, 1 | O_CLOEXEC)) < 0))
      result = errno;
    if (!result) {
      uint64_t attributes[4] = {0x00100000, 0, 0, (uint64_t)users};
      if (syscall(442, tree, "", 0x1000 /* AT_EMPTY_PATH */, attributes, sizeof attributes)) result = errno;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
  }
  if (users >= 0) close(users);
  if (tree >= 0) close(tree);
  close(ready[1]);
  return result;
}

// Whether the kernel has a system call: any answer but ENOSYS. Only for calls that refuse these arguments.
static inline int host_has_call(long number) { return syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) == 0 || errno != ENOSYS; }

// The magic number of the file system at `path` (statfs(2)); 0 where there is none.
static inline long host_filesystem(const char *path) {
  struct statfs s;
  return statfs(path, &s) ? 0 : (long)s.f_type;
}

// The name of an errno; the C library shows the function to GNU sources alone.
extern const char *strerrorname_np(int code);
static inline const char *host_errno_name(int code) { return strerrorname_np(code); }
