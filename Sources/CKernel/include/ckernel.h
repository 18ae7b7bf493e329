// Thin wrappers over Linux system calls and macros that Swift cannot import. No logic: each function is one call,
// with the C library's convention (-1 and errno) unless it says otherwise.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The commit it was built from; empty when the build did not know.
const char *nemo_build_commit(void);

// A number that differs from process to process and is never 0, for hashes: of the bytes that the kernel gives every process.
unsigned long nemo_random_seed(void);

// The argument of clone3(2), CLONE_ARGS_SIZE_VER2.
struct nemo_clone_args {
  uint64_t flags;
  uint64_t pidfd;
  uint64_t child_tid;
  uint64_t parent_tid;
  uint64_t exit_signal;
  uint64_t stack;
  uint64_t stack_size;
  uint64_t tls;
  uint64_t set_tid;
  uint64_t set_tid_size;
  uint64_t cgroup;
};

// clone3(2) without CLONE_VM: returns twice, like fork. The caller must be single-threaded.
pid_t nemo_clone3(const struct nemo_clone_args *args);
// Calls `run` in a child that shares this process's memory, on a stack of its own of 1 MiB, while this process waits until the child
// ends; its status is what `run` returned. `cgroup` is a directory of cgroup v2 to be born in, or -1. The child cannot join a time
// namespace (setns(2)), and what it does to memory stays done. -1 and errno when there is no child.
pid_t nemo_clone_sharing(int (*run)(void *), void *context, int cgroup);
int nemo_pidfd_open(pid_t pid, unsigned int flags);
int nemo_pidfd_send_signal(int pidfd, int signal);
int nemo_pidfd_getfd(int pidfd, int target);
int nemo_setns(int fd, int flags);
int nemo_unshare(int flags);
// getdents64(2): bytes read, 0 at the end, -1.
long nemo_getdents(int fd, void *buffer, size_t size);
int nemo_close_range(unsigned int first, unsigned int last, unsigned int flags);
int nemo_pivot_root(const char *new_root, const char *put_old);
int nemo_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int nemo_open_tree(int dirfd, const char *path, unsigned int flags);
int nemo_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned int flags);
int nemo_fsopen(const char *type, unsigned int flags);
int nemo_fsconfig(int fd, unsigned int command, const char *key, const void *value, int aux);
int nemo_fsmount(int fd, unsigned int flags, unsigned int attributes);
int nemo_mount_setattr(int dirfd, const char *path, unsigned int flags, uint64_t set, uint64_t clear,
                       uint64_t propagation, uint64_t userns_fd);
int nemo_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);
int nemo_join_session_keyring(const char *name);
int nemo_keyctl_setperm(int key, unsigned int permissions);
int nemo_keyctl_describe(int key, char *buffer, size_t length);
int nemo_prctl(int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5);
int nemo_seccomp(unsigned int operation, unsigned int flags, void *arguments);
int nemo_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
int nemo_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable);
int nemo_personality(unsigned long persona);
int nemo_ioprio_set(int which, int who, int priority);
int nemo_sched_setattr(pid_t pid, uint32_t policy, uint64_t flags, int32_t nice, uint32_t priority, uint64_t runtime,
                       uint64_t deadline, uint64_t period);
int nemo_sched_setaffinity(pid_t pid, size_t length, const void *mask);
int nemo_sched_getaffinity(pid_t pid, size_t length, void *mask);
int nemo_set_mempolicy(int mode, const unsigned long *mask, unsigned long maxnode);
int nemo_mknodat(int dirfd, const char *path, mode_t mode, unsigned int major, unsigned int minor);
int nemo_setgroups(size_t count, const gid_t *groups);
int nemo_setresuid(uid_t r, uid_t e, uid_t s);
int nemo_setresgid(gid_t r, gid_t e, gid_t s);
int nemo_ioctl_int(int fd, unsigned long request, int value);
int nemo_ioctl_pointer(int fd, unsigned long request, void *value);
int nemo_prlimit(pid_t pid, int resource, uint64_t soft, uint64_t hard);
// Landlock (landlock(7)). The highest ABI of the kernel, at least 1; -1 where there is none.
int nemo_landlock_abi(void);
// Masks of linux/landlock.h. Returns a close-on-exec descriptor.
int nemo_landlock_create_ruleset(uint64_t files, uint64_t ports, uint64_t scopes);
int nemo_landlock_allow_path(int ruleset, int path, uint64_t allowed);
int nemo_landlock_allow_port(int ruleset, uint16_t port, uint64_t allowed);
int nemo_landlock_restrict_self(int ruleset, uint32_t flags);
// Makes a process of the caller's user that does nothing, sends no signal when it ends, and ends by itself after 10 s. At most one at a time.
pid_t nemo_bystander(void);
// Ends and reaps it.
void nemo_dismiss_bystander(pid_t pid);

// Brings the loopback interface of the current network namespace up.
int nemo_loopback_up(void);

// Sends `length` bytes (at least one) and `count` descriptors over a unix socket. Returns the bytes sent.
ssize_t nemo_send_descriptors(int socket, const void *bytes, size_t length, const int *descriptors, size_t count);
// Receives bytes and at most `capacity` descriptors (close-on-exec); `*count` is how many came. Truncated control data is EMSGSIZE.
ssize_t nemo_receive_descriptors(int socket, void *bytes, size_t length, int *descriptors, size_t capacity, size_t *count);
// Connects a close-on-exec stream (or SOCK_DGRAM etc.) unix socket. A path that begins with '@' is an abstract name (unix(7)). Paths
// longer than sun_path are ENAMETOOLONG. Returns the socket.
int nemo_unix_connect(const char *path, int type);
// Makes a close-on-exec, non-blocking unix socket with a name in the file system. Returns the socket.
int nemo_unix_bind(const char *path, int type);

// eventfd(2) with 0, close-on-exec, non-blocking.
int nemo_eventfd(void);
// memfd_create(2), close-on-exec.
int nemo_memfd(const char *name);
// Opens the other end of a pseudo-terminal master (TIOCGPTPEER), close-on-exec.
int nemo_pty_peer(int master);
// TIOCSPTLCK with 0: makes the other end openable.
int nemo_pty_unlock(int master);
int nemo_pty_number(int master, unsigned int *number);

// Blocks every signal but job control and faults, and returns a close-on-exec, non-blocking signalfd(2) of them.
int nemo_signal_descriptor(void);
// The number of the next signal of a signalfd, or -1.
int nemo_next_signal(int fd);

unsigned int nemo_major(dev_t device);
unsigned int nemo_minor(dev_t device);
int nemo_wifexited(int status);
int nemo_wexitstatus(int status);
int nemo_wifsignaled(int status);
int nemo_wtermsig(int status);

const char *nemo_errno_name(int error);
int nemo_get_errno(void);
void nemo_set_errno(int error);
char **nemo_environ(void);

// The file system magic of an open descriptor (statfs f_type), or -1.
int64_t nemo_filesystem_magic(int fd);

// argv as the program got it: Swift's own list is read from /proc, which takes a free descriptor.
int nemo_argument_count(void);
const char *nemo_argument(int index);
// syslog(3) with one line.
void nemo_syslog(const char *identity, int priority, const char *text);
