// What the wide side needs and Swift cannot import: variadic calls, macros with arguments, and zlib.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <zlib.h>

// openat2(2); glibc has no wrapper.
static inline int wide_openat2(int directory, const char *path, int flags, unsigned long long resolve) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = (unsigned)(flags | O_CLOEXEC);
  how.resolve = resolve;
  int fd;
  do fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return fd;
}

// copy_file_range(2), renameat2(2) and the errno's name, which the C library shows to GNU sources alone.
static inline ssize_t wide_copy_file_range(int from, int to, size_t count) {
  return syscall(SYS_copy_file_range, from, NULL, to, NULL, count, 0);
}
static inline int wide_rename(const char *from, const char *to, unsigned flags) {
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}
extern const char *strerrorname_np(int code);
static inline const char *wide_errno_name(int code) { return strerrorname_np(code); }

// Orphans of all descendants become children of this process (prctl(2)).
static inline int wide_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

// A close-on-exec pipe.
static inline int wide_pipe(int ends[2]) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }

// syncfs(2), which the C library shows to GNU sources alone.
static inline int wide_syncfs(int fd) { return (int)syscall(SYS_syncfs, fd); }

// pidfd_open(2).
static inline int wide_pidfd(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

// ioctl_ficlone(2): the same extents for both files, where the file system can.
static inline int wide_clone_file(int to, int from) { return ioctl(to, FICLONE, from); }

static inline int wide_get_window_size(int fd, struct winsize *size) { return ioctl(fd, TIOCGWINSZ, size); }
static inline int wide_set_window_size(int fd, const struct winsize *size) { return ioctl(fd, TIOCSWINSZ, size); }

// A stream that reads the gzip format (RFC 1952) alone.
static inline int wide_inflate_gzip(z_stream *stream) { return inflateInit2(stream, 15 + 16); }

// A Unix socket at `path`: listening, or connected.
static inline int wide_unix_socket(const char *path, int listens) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int failed = listens ? bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 8)
                       : connect(fd, (struct sockaddr *)&address, sizeof address);
  if (!failed) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

// The descriptor in the next message of a socket; -1 where there is none.
static inline int wide_receive_descriptor(int socket) {
  char bytes[256];
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec vector = {bytes, sizeof bytes};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t count;
  do count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  struct cmsghdr *first = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!first || first->cmsg_level != SOL_SOCKET || first->cmsg_type != SCM_RIGHTS) return -1;
  int fd;
  memcpy(&fd, CMSG_DATA(first), sizeof fd);
  return fd;
}
