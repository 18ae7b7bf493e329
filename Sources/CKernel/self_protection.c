// The runtime's own binary is out of the container's reach (CVE-2019-5736): verbs that put a process into a container run from
// a detached read-only mount of the binary, or, where such a mount cannot be made, from a sealed copy in memory. A process of the
// container that opens /proc/PID/exe of the runtime cannot write what it gets, now or later. It is C because it runs before
// Swift does: the second start then costs one execve and nothing else.
#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static int is_protected(int exe) {
  struct statvfs s;
  if (fstatvfs(exe, &s) == 0 && (s.f_flag & ST_RDONLY)) return 1;
  int seals = fcntl(exe, F_GET_SEALS);
  return seals >= 0 && (seals & SEALS) == SEALS;
}

static int read_only_mount(void) {
  int tree = nemo_open_tree(AT_FDCWD, "/proc/self/exe", 1 | O_CLOEXEC);
  if (tree < 0) return -1;
  if (nemo_mount_setattr(tree, "", 0x1000, 1, 0, 0, 0) == 0) return tree;
  close(tree);
  return -1;
}

static int sealed_copy(int exe) {
  struct stat s;
  int copy = memfd_create("nemoshell", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (copy < 0 || fstat(exe, &s) != 0) return -1;
  off_t done = 0;
  while (done < s.st_size) {
    ssize_t n = sendfile(copy, exe, &done, (size_t)(s.st_size - done));
    if (n <= 0 && errno != EINTR) return -1;
  }
  return fcntl(copy, F_ADD_SEALS, SEALS) == 0 ? copy : -1;
}

static int names_entry(const char *argument) {
  return strcmp(argument, "create") == 0 || strcmp(argument, "run") == 0 || strcmp(argument, "exec") == 0;
}

// The first argument is the verb, unless it is a flag: then any argument might be.
static int enters_container(int argc, char **argv) {
  if (argc > 1 && argv[1][0] != '-') return names_entry(argv[1]);
  for (int i = 1; i < argc; i++)
    if (names_entry(argv[i])) return 1;
  return 0;
}

static int argument_count;
static char **arguments;

int nemo_argument_count(void) { return argument_count; }
const char *nemo_argument(int index) { return arguments[index]; }

// The Swift runtime would ask /proc/self/maps for what is known here, at every start; these are the symbols by which it would be
// drawn in.
char **_swift_stdlib_getUnsafeArgvArgc(int *count) {
  *count = argument_count;
  return arguments;
}
void _swift_stdlib_overrideUnsafeArgvArgc(char **argv, int argc) {
  arguments = argv;
  argument_count = argc;
}

__attribute__((constructor(101))) static void protect(int argc, char **argv, char **envp) {
  argument_count = argc;
  arguments = argv;
  if (!enters_container(argc, argv)) return;
  int exe;
  do exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  while (exe < 0 && errno == EINTR);
  if (exe >= 0 && !is_protected(exe)) {
    int safe = read_only_mount();
    if (safe < 0) safe = sealed_copy(exe);
    if (safe >= 0) nemo_execveat(safe, "", argv, envp, AT_EMPTY_PATH);
    static const char text[] = "nemoshell: cannot protect the runtime's binary from the container: /proc must be mounted\n";
    ssize_t ignored = write(2, text, sizeof(text) - 1);
    (void)ignored;
    _exit(1);
  }
  if (exe < 0) {
    static const char text[] = "nemoshell: cannot open /proc/self/exe, by which the runtime protects its binary\n";
    ssize_t ignored = write(2, text, sizeof(text) - 1);
    (void)ignored;
    _exit(1);
  }
  close(exe);
  prctl(PR_SET_NAME, "nemoshell");
  // Nobody but the kernel's own checks lets another process look into this one (CVE-2016-9962).
  prctl(PR_SET_DUMPABLE, 0);
}
