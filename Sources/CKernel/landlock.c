// The three Landlock calls (landlock(7)), which the C library does not wrap, and a process that is outside of a restriction. That one
// shares its maker's memory, which Swift code must not: a copy would cost most of what all other canaries cost.
#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

// Structures of linux/landlock.h, ABI 7; an older kernel takes the longer ones as long as what it does not know is 0.
struct ruleset_attr_v7 {
  uint64_t handled_access_fs, handled_access_net, scoped;
};
struct path_beneath_attr_v7 {
  uint64_t allowed_access;
  int32_t parent_fd;
} __attribute__((packed));
struct net_port_attr_v7 {
  uint64_t allowed_access, port;
};
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

int nemo_landlock_abi(void) { return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION); }
int nemo_landlock_create_ruleset(uint64_t files, uint64_t ports, uint64_t scopes) {
  struct ruleset_attr_v7 attributes = {files, ports, scopes};
  return (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
}
int nemo_landlock_allow_path(int ruleset, int path, uint64_t allowed) {
  struct path_beneath_attr_v7 attributes = {allowed, path};
  return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attributes, 0);
}
int nemo_landlock_allow_port(int ruleset, uint16_t port, uint64_t allowed) {
  struct net_port_attr_v7 attributes = {allowed, port};
  return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &attributes, 0);
}
int nemo_landlock_restrict_self(int ruleset, uint32_t flags) {
  return (int)syscall(SYS_landlock_restrict_self, ruleset, flags);
}

static uint32_t bystander_dismissed;
static _Alignas(16) char bystander_stack[16384];

static int stand_by(void *unused) {
  (void)unused;
  // Without end only if its maker was killed.
  struct timespec limit = {10, 0};
  if (!__atomic_load_n(&bystander_dismissed, __ATOMIC_ACQUIRE))
    syscall(SYS_futex, &bystander_dismissed, FUTEX_WAIT, 0, &limit, NULL, 0);
  return 0;
}

pid_t nemo_bystander(void) {
  __atomic_store_n(&bystander_dismissed, 0, __ATOMIC_RELEASE);
  return clone(stand_by, bystander_stack + sizeof(bystander_stack), CLONE_VM, NULL);
}

void nemo_dismiss_bystander(pid_t pid) {
  int error = errno;
  __atomic_store_n(&bystander_dismissed, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, &bystander_dismissed, FUTEX_WAKE, 1, NULL, NULL, 0);
  while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR) {
  }
  errno = error;
}
