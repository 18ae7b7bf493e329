// Runs commands one after another and says what they took. Small on purpose: a child's peak memory starts at that of
// the process which spawned it, so it must not be an interpreter.
//
//   spawn IDLE_MS COMMAND [ARGUMENT...] [-- COMMAND [ARGUMENT...]]...
//
// Idles first, then runs the commands back to back with /dev/null as stdin and stdout. Prints one line: the wall time
// of all together in ns, then for each command: wall ns, user + system CPU us (with the children it waited for), peak
// resident KiB of the largest process, exit status.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int count, char **arguments) {
  enum { MAX_COMMANDS = 8 };
  char report[2048], **commands[MAX_COMMANDS];
  static int used, total; // static: registers do not survive vfork
  if (count < 3) {
    fprintf(stderr, "usage: spawn IDLE_MS COMMAND [ARGUMENT...] [-- COMMAND...]...\n");
    return 2;
  }
  commands[total++] = arguments + 2;
  for (int i = 2; i < count; i++)
    if (strcmp(arguments[i], "--") == 0 && total < MAX_COMMANDS) {
      arguments[i] = NULL;
      commands[total++] = arguments + i + 1;
    }
  int saved = fcntl(1, F_DUPFD_CLOEXEC, 10), null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (saved < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0) {
    perror("spawn: /dev/null");
    return 2;
  }
  long idle = atol(arguments[1]);
  struct timespec pause = {idle / 1000, idle % 1000 * 1000000};
  if (idle) nanosleep(&pause, NULL);
  long long begin = now();
  for (int i = 0; i < total; i++) {
    long long start = now();
    pid_t pid = vfork();
    if (pid == 0) {
      execve(commands[i][0], commands[i], environ);
      _exit(127);
    }
    int status;
    struct rusage usage;
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) {
      perror("spawn");
      return 2;
    }
    long long cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
                    usage.ru_stime.tv_usec;
    used += snprintf(report + used, sizeof report - used, " %lld %lld %ld %d", now() - start, cpu, usage.ru_maxrss,
                     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  dprintf(saved, "%lld%s\n", now() - begin, report);
  return 0;
}
