// Places that a sandbox must not reach: devices, kernel settings, cgroups, the root file system. Files are opened, never written.
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int opens(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  return fd < 0 ? errno : (close(fd), 0);
}
#define OPEN(name, path, flags) \
  static int open_##name(void) { return opens(path, flags); }

OPEN(mem, "/dev/mem", O_RDONLY)
OPEN(port, "/dev/port", O_RDONLY)
OPEN(kmsg, "/dev/kmsg", O_RDONLY)
OPEN(fuse, "/dev/fuse", O_RDWR)
OPEN(loop, "/dev/loop-control", O_RDWR)
OPEN(kvm, "/dev/kvm", O_RDWR)
OPEN(vhost, "/dev/vhost-vsock", O_RDWR)
OPEN(userfault, "/dev/userfaultfd", O_RDWR)
OPEN(tun, "/dev/net/tun", O_RDWR)
OPEN(trigger, "/proc/sysrq-trigger", O_WRONLY)
OPEN(pattern, "/proc/sys/kernel/core_pattern", O_WRONLY)
OPEN(modprobe, "/proc/sys/kernel/modprobe", O_WRONLY)
OPEN(forward, "/proc/sys/net/ipv4/ip_forward", O_WRONLY)
OPEN(overcommit, "/proc/sys/vm/overcommit_memory", O_WRONLY)
OPEN(kernel_messages, "/proc/kmsg", O_RDONLY)
OPEN(uevent, "/sys/kernel/uevent_helper", O_WRONLY)
OPEN(power, "/sys/power/state", O_WRONLY)
OPEN(release_agent, "/sys/fs/cgroup/release_agent", O_WRONLY)
OPEN(tasks, "/sys/fs/cgroup/cgroup.procs", O_WRONLY)
OPEN(memory_tasks, "/sys/fs/cgroup/memory/cgroup.procs", O_WRONLY)
OPEN(memory_limit, "/sys/fs/cgroup/memory/memory.limit_in_bytes", O_WRONLY)
OPEN(null, "/dev/null", O_RDWR)
OPEN(zero, "/dev/zero", O_RDONLY)
OPEN(urandom, "/dev/urandom", O_RDONLY)
OPEN(status, "/proc/self/status", O_RDONLY)

// Masked files are empty or cannot be opened.
static int reads(const char *path) {
  char byte;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno;
  ssize_t count = read(fd, &byte, 1);
  int error = count < 0 ? errno : count == 0 ? ENODATA : 0;
  close(fd);
  return error;
}
static int read_kcore(void) { return reads("/proc/kcore"); }
static int read_keys(void) { return reads("/proc/keys"); }
static int read_timers(void) { return reads("/proc/timer_list"); }

// Whether a directory can be made at the place; it is removed again.
static int makes(const char *path) {
  if (mkdir(path, 0700)) return errno;
  rmdir(path);
  return 0;
}
static int make_cgroup(void) { return makes("/sys/fs/cgroup/nemoprobe"); }
static int make_memory_cgroup(void) { return makes("/sys/fs/cgroup/memory/nemoprobe"); }
static int make_in_root(void) { return makes("/nemoprobe"); }
static int make_by_another_name(void) { return makes("/proc/self/root/nemoprobe"); }
static int make_in_usr(void) { return makes("/usr/nemoprobe"); }

// A node for the zero device; where it could be made it is removed again.
static int make_device(void) {
  const char *places[] = {"/tmp/nemoprobe-node", "/dev/shm/nemoprobe-node", "nemoprobe-node"};
  int error = 0;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (mknod(places[i], S_IFCHR | 0600, makedev(1, 5)) == 0) {
      unlink(places[i]);
      return 0;
    }
    error = errno;
  }
  return error;
}

// Whether /dev holds block devices, or a directory of them.
static int no_disks(void) {
  DIR *directory = opendir("/dev");
  if (!directory) return errno == EACCES ? 0 : errno;
  struct dirent *entry;
  struct stat s;
  int found = 0;
  while ((entry = readdir(directory))) found |= fstatat(dirfd(directory), entry->d_name, &s, 0) == 0 && S_ISBLK(s.st_mode);
  closedir(directory);
  return found ? FALSE_STATEMENT : 0;
}

// The memory and the environment of the first process belong to the same user: they may be read, unless it is somebody else's.
static int other_processes(void) {
  char path[64];
  for (int pid = 1; pid < 4; pid++) {
    struct stat s;
    snprintf(path, sizeof path, "/proc/%d", pid);
    if (stat(path, &s) || s.st_uid == getuid()) continue;
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int error = opens(path, O_RDWR);
    if (error == 0) return 0;
  }
  return EACCES;
}

const struct attempt place_attempts[] = {
    {"devices", "open /dev/mem", "fails", open_mem}, {"devices", "open /dev/port", "fails", open_port},
    {"devices", "open /dev/kmsg", "fails", open_kmsg}, {"devices", "open /dev/fuse", "fails", open_fuse},
    {"devices", "open /dev/loop-control", "fails", open_loop}, {"devices", "open /dev/kvm", "fails", open_kvm},
    {"devices", "open /dev/vhost-vsock", "fails", open_vhost}, {"devices", "open /dev/userfaultfd", "fails", open_userfault},
    {"devices", "open /dev/net/tun", "fails", open_tun}, {"devices", "no block devices in /dev", "works", no_disks},
    {"devices", "make a device node", "fails", make_device},
    {"kernel", "write /proc/sysrq-trigger", "fails", open_trigger}, {"kernel", "write core_pattern", "fails", open_pattern},
    {"kernel", "write modprobe", "fails", open_modprobe}, {"kernel", "write ip_forward", "fails", open_forward},
    {"kernel", "write overcommit_memory", "fails", open_overcommit}, {"kernel", "read /proc/kmsg", "fails", open_kernel_messages},
    {"kernel", "read /proc/kcore", "fails", read_kcore}, {"kernel", "read /proc/keys", "fails", read_keys},
    {"kernel", "read /proc/timer_list", "fails", read_timers}, {"kernel", "write /sys/kernel/uevent_helper", "fails", open_uevent},
    {"kernel", "write /sys/power/state", "fails", open_power},
    {"kernel", "memory of another user's process", "EACCES EPERM ENOENT", other_processes},
    {"cgroups", "write release_agent", "fails", open_release_agent}, {"cgroups", "write cgroup.procs", "fails", open_tasks},
    {"cgroups", "write memory/cgroup.procs", "fails", open_memory_tasks},
    {"cgroups", "write memory.limit_in_bytes", "fails", open_memory_limit}, {"cgroups", "make a cgroup", "fails", make_cgroup},
    {"cgroups", "make a memory cgroup", "fails", make_memory_cgroup},
    {"files", "make a directory in /", "fails", make_in_root},
    {"files", "make a directory in /proc/self/root", "fails", make_by_another_name},
    {"files", "make a directory in /usr", "fails", make_in_usr},
    {"work", "open /dev/null", "works", open_null}, {"work", "open /dev/zero", "works", open_zero},
    {"work", "open /dev/urandom", "works", open_urandom}, {"work", "read /proc/self/status", "works", open_status},
};
const size_t place_count = sizeof place_attempts / sizeof *place_attempts;
