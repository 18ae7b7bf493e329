// The three Landlock calls (landlock(7)), which the C library does not wrap.
#define _GNU_SOURCE
#include "ckernel.h"

#include <sys/syscall.h>
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
