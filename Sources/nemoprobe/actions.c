// Actions that are given one by one, for comparing what a policy says with what the kernel does. A line is
//   file ACTION PATH          one of the names below
//   call NUMBER A B C D E F   a system call with six arguments
// and the answer is a line: "works", an errno's name, or what ended the attempt. A system call that returns at all says its errno,
// one that never returns or crashes was let through.
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

static char name[64], path[4096];
static unsigned long number, arguments[6];

static int opening(int flags, int mode) {
  int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
  return fd < 0 ? errno : 0;
}

static int renaming(void) {
  char other[sizeof path + 8];
  snprintf(other, sizeof other, "%s.renamed", path);
  return rename(path, other) ? errno : 0;
}

static int controlling(void) {
  struct termios settings;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return errno;
  // The device itself may know nothing of terminals.
  return ioctl(fd, TCGETS, &settings) && errno != ENOTTY ? errno : 0;
}

static int executing(void) {
  char *words[] = {path, "--nothing", NULL};
  execve(path, words, NULL);
  return errno;
}

static int file_action(void) {
#define IS(text) (strcmp(name, text) == 0)
  if (IS("read")) return opening(O_RDONLY, 0);
  if (IS("list")) return opening(O_RDONLY | O_DIRECTORY, 0);
  if (IS("write")) return opening(O_WRONLY, 0);
  if (IS("update")) return opening(O_RDWR, 0);
  if (IS("overwrite")) return opening(O_WRONLY | O_TRUNC, 0);
  if (IS("truncate")) return truncate(path, 0) ? errno : 0;
  if (IS("create")) return opening(O_WRONLY | O_CREAT | O_EXCL, 0777);
  if (IS("remove")) return unlink(path) ? errno : 0;
  if (IS("rmdir")) return rmdir(path) ? errno : 0;
  if (IS("mkdir")) return mkdir(path, 0777) ? errno : 0;
  if (IS("mkreg")) return mknod(path, S_IFREG | 0666, 0) ? errno : 0;
  if (IS("mkfifo")) return mknod(path, S_IFIFO | 0666, 0) ? errno : 0;
  if (IS("mksock")) return mknod(path, S_IFSOCK | 0666, 0) ? errno : 0;
  if (IS("mkchar")) return mknod(path, S_IFCHR, 0) ? errno : 0;
  if (IS("symlink")) return symlink("nowhere", path) ? errno : 0;
  if (IS("rename")) return renaming();
  if (IS("ioctl")) return controlling();
  if (IS("execute")) return executing();
  return EBADRQC;
}

static int call_action(void) {
  // The streams are shared with this program, and a call may be about any of them.
  for (int fd = 0; fd < 3; fd++) close(fd);
  long result = syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  return result < 0 && result >= -4095 ? errno : 0;
}

int carry_out_actions(void) {
  char line[sizeof path + 128];
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (fgets(line, sizeof line, stdin)) {
    int result;
    if (sscanf(line, "file %63s %4095[^\n]", name, path) == 2) {
      result = outcome(file_action);
    } else if (sscanf(line, "call %lu %lu %lu %lu %lu %lu %lu", &number, &arguments[0], &arguments[1], &arguments[2], &arguments[3],
                      &arguments[4], &arguments[5]) == 7) {
      result = outcome(call_action);
    } else {
      fprintf(stderr, "nemoprobe: no action: %s", line);
      return 2;
    }
    printf("%s\n", result_name(result));
  }
  return 0;
}
