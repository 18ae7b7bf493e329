// System calls that a sandbox's filter refuses, and some that it must let through.
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

// A function for an attempt: 0, or errno when the value is -1.
#define TRY(name, value) \
  static int try_##name(void) { return (value) == -1 ? errno : 0; }

// mounts: nothing is mounted anywhere; paths are missing, or a mount keeps what it has
TRY(mount, mount(NULL, "/", NULL, MS_PRIVATE, NULL))
TRY(remount, mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
TRY(umount2, syscall(SYS_umount2, "/nemoprobe-nothing", 0))
TRY(pivot_root, syscall(SYS_pivot_root, "/nemoprobe-nothing", "/nemoprobe-nothing"))
TRY(chroot, chroot("/"))
TRY(fsopen, syscall(SYS_fsopen, "tmpfs", 1))
TRY(fsconfig, syscall(SYS_fsconfig, -1, 0, 0, 0, 0))
TRY(fsmount, syscall(SYS_fsmount, -1, 0, 0))
TRY(fspick, syscall(SYS_fspick, AT_FDCWD, "/", 0))
TRY(move_mount, syscall(SYS_move_mount, -1, "", -1, "", 0))
TRY(open_tree, syscall(SYS_open_tree, AT_FDCWD, "/", 1))
TRY(open_tree_attr, syscall(467, AT_FDCWD, "/", 1, NULL, 0))
static int try_mount_setattr(void) {
  uint64_t attributes[4] = {0};
  return syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attributes, sizeof attributes) ? errno : 0;
}
TRY(statmount, syscall(457, NULL, NULL, 0, 0))
TRY(listmount, syscall(458, NULL, NULL, 0, 0))

// namespaces
static int try_setns(void) {
  int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
  return fd < 0 || setns(fd, 0) ? errno : 0;
}
TRY(unshare_user, unshare(CLONE_NEWUSER))
TRY(unshare_mount, unshare(CLONE_NEWNS))
TRY(unshare_net, unshare(CLONE_NEWNET))
TRY(unshare_files, unshare(CLONE_FILES))
static int clone_with(unsigned long flags) {
  long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  return pid < 0 ? errno : (waitpid(pid, NULL, 0), 0);
}
static int try_clone_user(void) { return clone_with(CLONE_NEWUSER); }
static int try_clone_mount(void) { return clone_with(CLONE_NEWNS); }
static int try_clone_pid(void) { return clone_with(CLONE_NEWPID); }
static int try_clone_net(void) { return clone_with(CLONE_NEWNET); }
static int try_clone_ipc(void) { return clone_with(CLONE_NEWIPC); }
static int try_clone_uts(void) { return clone_with(CLONE_NEWUTS); }
static int try_clone_cgroup(void) { return clone_with(CLONE_NEWCGROUP); }
static int try_clone(void) { return clone_with(0); }
static int try_clone3(void) {
  uint64_t arguments[8] = {0, 0, 0, 0, SIGCHLD};
  long pid = syscall(SYS_clone3, arguments, sizeof arguments);
  if (pid == 0) _exit(0);
  return pid < 0 ? errno : (waitpid(pid, NULL, 0), 0);
}

// the kernel itself
static int try_bpf(void) {
  union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes) < 0 ? errno : 0;
}
static int try_perf_event_open(void) {
  struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_DUMMY};
  return syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0) < 0 ? errno : 0;
}
TRY(userfaultfd, syscall(SYS_userfaultfd, O_CLOEXEC))
static int try_io_uring_setup(void) {
  char parameters[120] = {0};
  return syscall(SYS_io_uring_setup, 1, parameters) < 0 ? errno : 0;
}
TRY(io_uring_enter, syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0))
TRY(io_uring_register, syscall(SYS_io_uring_register, -1, 0, NULL, 0))
TRY(init_module, syscall(SYS_init_module, NULL, 0, NULL))
TRY(finit_module, syscall(SYS_finit_module, -1, "", 0))
TRY(delete_module, syscall(SYS_delete_module, "nemoprobe_nothing", O_NONBLOCK))
TRY(kexec_load, syscall(SYS_kexec_load, 0, 0, NULL, 0xff00))
TRY(reboot, syscall(SYS_reboot, 0, 0, 0, NULL))
TRY(acct, syscall(SYS_acct, "/nemoprobe-nothing"))
TRY(swapon, syscall(SYS_swapon, "/nemoprobe-nothing", 0))
TRY(swapoff, syscall(SYS_swapoff, "/nemoprobe-nothing"))
TRY(quotactl, syscall(SYS_quotactl, 0x800001 << 8, NULL, 0, NULL))
TRY(syslog, syscall(SYS_syslog, 10, NULL, 0))
TRY(settimeofday, syscall(SYS_settimeofday, NULL, NULL))
TRY(clock_settime, syscall(SYS_clock_settime, 99, NULL))
static int try_sethostname(void) {
  struct utsname names;
  return uname(&names) || sethostname(names.nodename, strlen(names.nodename)) ? errno : 0;
}
TRY(fanotify_init, syscall(SYS_fanotify_init, 0, O_RDONLY))
TRY(set_mempolicy, syscall(SYS_set_mempolicy, 0, NULL, 0))
TRY(move_pages, syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0))
TRY(open_by_handle_at, syscall(SYS_open_by_handle_at, -1, NULL, 0))
TRY(name_to_handle_at, syscall(SYS_name_to_handle_at, -1, "", NULL, NULL, 0))
#ifdef __x86_64__
TRY(iopl, syscall(SYS_iopl, 0))
TRY(ioperm, syscall(SYS_ioperm, 0, 1, 0))
static int try_modify_ldt(void) {
  char entry[16];
  return syscall(SYS_modify_ldt, 0, entry, sizeof entry) < 0 ? errno : 0;
}
#endif

// keys
TRY(add_key, syscall(SYS_add_key, "user", "nemoprobe", "x", 1, KEY_SPEC_THREAD_KEYRING))
TRY(keyctl, syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0))
TRY(request_key, syscall(SYS_request_key, "user", "nemoprobe", NULL, 0))

// other processes
TRY(ptrace_me, ptrace(PTRACE_TRACEME, 0, NULL, NULL))
static int try_ptrace_child(void) {
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  int result = ptrace(PTRACE_SEIZE, child, NULL, NULL) ? errno : 0;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return result;
}
static int try_process_vm_readv(void) {
  char a = 1, b;
  struct iovec from = {&a, 1}, to = {&b, 1};
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0 ? errno : 0;
}
static int try_process_vm_writev(void) {
  char a = 1, b = 2;
  struct iovec from = {&a, 1}, to = {&b, 1};
  return process_vm_writev(getpid(), &from, 1, &to, 1, 0) < 0 ? errno : 0;
}
TRY(pidfd_open, syscall(SYS_pidfd_open, getpid(), 0))
TRY(pidfd_getfd, syscall(SYS_pidfd_getfd, -1, 0, 0))
TRY(pidfd_send_signal, syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0))
TRY(kcmp, syscall(SYS_kcmp, getpid(), getpid(), 1, 0, 0))
TRY(process_madvise, syscall(SYS_process_madvise, -1, NULL, 0, 0, 0))
TRY(process_mrelease, syscall(SYS_process_mrelease, -1, 0))

// programs without a file, filters, other ways to the same
TRY(memfd_create, syscall(SYS_memfd_create, "nemoprobe", 1))
TRY(memfd_secret, syscall(SYS_memfd_secret, 0))
static int try_execveat_empty_path(void) {
  char *arguments[] = {"nemoprobe", "--nothing", NULL};
  int fd = open("/proc/self/exe", O_RDONLY);
  if (fd < 0) return errno;
  syscall(SYS_execveat, fd, "", arguments, NULL, AT_EMPTY_PATH);
  return errno;
}
static struct sock_filter allow_all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
static struct sock_fprog filter = {1, allow_all};
static int try_seccomp(void) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return errno;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) ? errno : 0;
}
static int try_prctl_seccomp(void) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return errno;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) ? errno : 0;
}
TRY(prctl_memory_merge, prctl(67, 0, 0, 0, 0))
static int try_prctl_set_mm(void) {
  unsigned size;
  return prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) ? errno : 0;
}
TRY(personality_32, syscall(SYS_personality, 8))
TRY(personality_no_random, syscall(SYS_personality, 0x40000))
TRY(personality_get, syscall(SYS_personality, 0xffffffff))

// absent
static int try_io_setup(void) {
  unsigned long context = 0;
  return syscall(SYS_io_setup, 1, &context) ? errno : 0;
}
TRY(mq_open, syscall(SYS_mq_open, "nemoprobe", O_RDWR | O_CREAT, 0600, NULL))
TRY(vmsplice, syscall(SYS_vmsplice, -1, NULL, 0, 0))
TRY(unknown_number, syscall(1000))

// terminals: on one of its own
static int typing(unsigned long request) {
  setsid();
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || unlockpt(master)) return errno;
  int terminal = open(ptsname(master), O_RDWR);
  if (terminal < 0) return errno;
  return syscall(SYS_ioctl, terminal, request, "x") ? errno : 0;
}
static int try_tiocsti(void) { return typing(TIOCSTI); }
static int try_tiocsti_wide(void) { return typing(TIOCSTI | 1UL << 32); }
static int try_tioclinux(void) { return typing(TIOCLINUX); }
static int try_terminal_size(void) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  struct winsize size;
  return master < 0 || ioctl(master, TIOCGWINSZ, &size) ? errno : 0;
}

// other tables
#ifdef __x86_64__
static int try_i386(void) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
  return (int)result < 0 ? -(int)result : 0;
}
TRY(x32, syscall(0x40000000L | SYS_getpid))
#endif

// what must work
static void *thread(void *argument) { return argument; }
static int try_thread(void) {
  pthread_t id;
  int error = pthread_create(&id, NULL, thread, NULL);
  return error ? error : pthread_join(id, NULL);
}
static int try_execve(void) {
  char *arguments[] = {"nemoprobe", "--nothing", NULL};
  execve("/proc/self/exe", arguments, NULL);
  return errno;
}
static int try_program(void) {
  pid_t pid = fork();
  if (pid == 0) _exit(try_execve());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}
static int try_getrandom(void) {
  char byte;
  return syscall(SYS_getrandom, &byte, 1, 0) == 1 ? 0 : errno;
}
TRY(prctl_name, prctl(PR_SET_NAME, "nemoprobe", 0, 0, 0))

#define REFUSED(call) {"system calls", #call, "EPERM", try_##call}
#define ABSENT(call) {"system calls", #call, "ENOSYS", try_##call}
#define WORKS(call) {"work", #call, "works", try_##call}

const struct attempt call_attempts[] = {
    REFUSED(mount), REFUSED(remount), REFUSED(umount2), REFUSED(pivot_root), REFUSED(chroot), REFUSED(fsopen), REFUSED(fsconfig),
    REFUSED(fsmount), REFUSED(fspick), REFUSED(move_mount), REFUSED(open_tree), REFUSED(open_tree_attr), REFUSED(mount_setattr),
    REFUSED(statmount), REFUSED(listmount),
    REFUSED(setns), REFUSED(unshare_user), REFUSED(unshare_mount), REFUSED(unshare_net), REFUSED(unshare_files), REFUSED(clone_user),
    REFUSED(clone_mount), REFUSED(clone_pid), REFUSED(clone_net), REFUSED(clone_ipc), REFUSED(clone_uts), REFUSED(clone_cgroup), ABSENT(clone3),
    REFUSED(bpf), REFUSED(perf_event_open), REFUSED(userfaultfd), REFUSED(io_uring_setup), REFUSED(io_uring_enter),
    REFUSED(io_uring_register), REFUSED(init_module), REFUSED(finit_module), REFUSED(delete_module), REFUSED(kexec_load), REFUSED(reboot),
    REFUSED(acct), REFUSED(swapon), REFUSED(swapoff), REFUSED(quotactl), REFUSED(syslog), REFUSED(settimeofday), REFUSED(clock_settime),
    REFUSED(sethostname), REFUSED(fanotify_init), REFUSED(set_mempolicy), REFUSED(move_pages), REFUSED(open_by_handle_at),
    REFUSED(name_to_handle_at),
    REFUSED(add_key), REFUSED(keyctl), REFUSED(request_key),
    REFUSED(ptrace_me), REFUSED(ptrace_child), REFUSED(process_vm_readv), REFUSED(process_vm_writev), REFUSED(pidfd_open),
    REFUSED(pidfd_getfd), REFUSED(pidfd_send_signal), REFUSED(kcmp), REFUSED(process_madvise), REFUSED(process_mrelease),
    REFUSED(memfd_create), REFUSED(memfd_secret), REFUSED(execveat_empty_path), REFUSED(seccomp), REFUSED(prctl_seccomp),
    REFUSED(prctl_memory_merge), REFUSED(prctl_set_mm), REFUSED(personality_32), REFUSED(personality_no_random),
    ABSENT(io_setup), ABSENT(mq_open), ABSENT(vmsplice), ABSENT(unknown_number),
    REFUSED(tiocsti), REFUSED(tiocsti_wide), REFUSED(tioclinux),
#ifdef __x86_64__
    REFUSED(iopl), REFUSED(ioperm), REFUSED(modify_ldt),
    {"system calls", "i386", "SIGSYS", try_i386}, {"system calls", "x32", "SIGSYS", try_x32},
#endif
    WORKS(clone), WORKS(thread), WORKS(program), WORKS(getrandom), WORKS(personality_get), WORKS(prctl_name), WORKS(terminal_size),
};
const size_t call_count = sizeof call_attempts / sizeof *call_attempts;
