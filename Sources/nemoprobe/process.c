// What the process is: user, capabilities, no_new_privs, filter, limits, descriptors.
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int statement(int holds) { return holds ? 0 : FALSE_STATEMENT; }

// A field of /proc/self/status in hexadecimal.
static int status(const char *field, unsigned long long *value) {
  char line[256];
  FILE *f = fopen("/proc/self/status", "re");
  if (!f) return errno;
  while (fgets(line, sizeof line, f)) {
    if (strncmp(line, field, strlen(field)) == 0) {
      *value = strtoull(line + strlen(field), NULL, 16);
      fclose(f);
      return 0;
    }
  }
  fclose(f);
  return ENODATA;
}

static int capabilities(const char *field, unsigned long long most) {
  unsigned long long value;
  int error = status(field, &value);
  return error ? error : statement((value & ~most) == 0);
}
static int inheritable(void) { return capabilities("CapInh:", granted_capabilities); }
static int permitted(void) { return capabilities("CapPrm:", granted_capabilities); }
static int effective(void) { return capabilities("CapEff:", granted_capabilities); }
static int bounding(void) { return capabilities("CapBnd:", granted_capabilities); }
static int ambient(void) { return capabilities("CapAmb:", granted_capabilities); }

static int unprivileged(void) {
  uid_t r, e, s;
  gid_t gr, ge, gs;
  getresuid(&r, &e, &s);
  getresgid(&gr, &ge, &gs);
  return statement(r && e && s && gr && ge && gs && r == e && e == s && gr == ge && ge == gs);
}
static int no_root_group(void) {
  gid_t groups[256];
  int count = getgroups(256, groups);
  for (int i = 0; i < count; i++)
    if (groups[i] == 0) return FALSE_STATEMENT;
  return count < 0 ? errno : 0;
}
static int no_new_privs(void) { return statement(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1); }
static int filtered(void) {
  unsigned long long mode;
  int error = status("Seccomp:", &mode);
  return error ? error : statement(mode == 2);
}
static int no_core(void) {
  struct rlimit limit;
  return getrlimit(RLIMIT_CORE, &limit) ? errno : statement(limit.rlim_cur == 0 && limit.rlim_max == 0);
}
// Descriptors besides the standard ones that were there when this program began.
static int no_descriptors(void) {
  for (int fd = 3; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) >= 0) return FALSE_STATEMENT;
  return 0;
}
static int inside_root(void) {
  char path[4096];
  return getcwd(path, sizeof path) ? statement(path[0] == '/') : errno;
}

static int become_root(void) { return setuid(0) ? errno : 0; }
static int become_root_group(void) { return setgid(0) ? errno : 0; }
static int change_groups(void) {
  gid_t root = 0;
  return setgroups(1, &root) ? errno : 0;
}
static int give_away(void) {
  char path[] = "/tmp/nemoprobe-XXXXXX";
  int fd = mkstemp(path);
  if (fd < 0) return EPERM;
  int result = fchown(fd, 0, 0) ? errno : 0;
  unlink(path);
  return result;
}
static int raise_priority(void) { return setpriority(PRIO_PROCESS, 0, -20) ? errno : 0; }

const struct attempt process_attempts[] = {
    {"process", "user and group are not root", "works", unprivileged},
    {"process", "no root group", "works", no_root_group},
    {"process", "inheritable capabilities are those granted", "works", inheritable},
    {"process", "permitted capabilities are those granted", "works", permitted},
    {"process", "effective capabilities are those granted", "works", effective},
    {"process", "bounding capabilities are those granted", "works", bounding},
    {"process", "ambient capabilities are those granted", "works", ambient},
    {"process", "no_new_privs", "works", no_new_privs},
    {"process", "system calls are filtered", "works", filtered},
    {"process", "no core dumps", "works", no_core},
    {"process", "no descriptors but the standard ones", "works", no_descriptors},
    {"process", "working directory is inside the root", "works", inside_root},
    {"process", "setuid to root", "EPERM", become_root},
    {"process", "setgid to root", "EPERM", become_root_group},
    {"process", "setgroups", "EPERM", change_groups},
    {"process", "chown to root", "EPERM", give_away},
    {"process", "raise priority", "EPERM EACCES", raise_priority},
};
const size_t process_count = sizeof process_attempts / sizeof *process_attempts;
