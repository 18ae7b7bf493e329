// Lists, in the order of first use, the code of BINARY that a command executes, one offset of a 16-byte block per line:
// order.py makes the linker's order of functions from it. The command's children are followed too, until they execute
// another program.
//
//   steps BINARY OUTPUT COMMAND [ARGUMENT...]
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPAN = 32 << 20, TASKS = 4096 };

static unsigned char seen[SPAN >> 4];
static struct {
  pid_t pid;
  unsigned long base;
} tasks[TASKS];

// Where the binary lies in the process; 0 while it runs something else.
static unsigned long *base_of(pid_t pid) {
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < TASKS; i++)
      if (tasks[i].pid == (pass ? 0 : pid)) {
        if (pass) tasks[i].pid = pid, tasks[i].base = 0;
        return &tasks[i].base;
      }
  abort();
}

static unsigned long find_base(pid_t pid, ino_t binary) {
  char path[64], line[512];
  unsigned long start, offset, inode, base = 0;
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  FILE *maps = fopen(path, "r");
  if (!maps) return 0;
  while (!base && fgets(line, sizeof line, maps))
    if (sscanf(line, "%lx-%*x %*s %lx %*s %lu", &start, &offset, &inode) == 3 && inode == binary && offset == 0) base = start;
  fclose(maps);
  return base;
}

static void note(pid_t pid, unsigned long base, FILE *output) {
  struct user_regs_struct registers;
  if (!base || ptrace(PTRACE_GETREGS, pid, 0, &registers) != 0) return;
  unsigned long offset = registers.rip - base;
  if (offset >= SPAN || seen[offset >> 4]) return;
  seen[offset >> 4] = 1;
  fprintf(output, "%lx\n", offset);
}

int main(int count, char **arguments) {
  struct stat binary;
  FILE *output;
  if (count < 4 || stat(arguments[1], &binary) != 0 || !(output = fopen(arguments[2], "w"))) {
    fprintf(stderr, "usage: steps BINARY OUTPUT COMMAND [ARGUMENT...]\n");
    return 2;
  }
  pid_t first = fork();
  if (first == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execv(arguments[3], arguments + 3);
    _exit(127);
  }
  int status, code = 0;
  waitpid(first, &status, 0);
  ptrace(PTRACE_SETOPTIONS, first, 0,
         PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
  ptrace(PTRACE_CONT, first, 0, 0);
  for (;;) {
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) break;
    if (!WIFSTOPPED(status)) {
      for (int i = 0; i < TASKS; i++)
        if (tasks[i].pid == pid) tasks[i].pid = 0;
      if (pid != first) continue;
      code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      break;
    }
    int number = WSTOPSIG(status), event = status >> 16;
    unsigned long *base = base_of(pid);
    if (event == PTRACE_EVENT_EXEC) {
      *base = find_base(pid, binary.st_ino);
      if (!*base) {
        ptrace(PTRACE_DETACH, pid, 0, 0);
        continue;
      }
    } else if (event) {
      unsigned long child = 0;
      ptrace(PTRACE_GETEVENTMSG, pid, 0, &child);
      *base_of((pid_t)child) = *base;
    } else if (number == SIGTRAP) {
      note(pid, *base, output);
    }
    int passed = event || number == SIGTRAP || number == SIGSTOP ? 0 : number;
    ptrace(*base ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, 0, passed);
  }
  fclose(output);
  return code;
}
