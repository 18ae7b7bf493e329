// nemoprobe: tries from inside of a sandbox what must fail there, and what must work, and prints what happened as JSON.
//
//   nemoprobe [--capabilities HEX] [GROUP|NAME ...]   exit status 0 when all is as it must be, 1 when not, 2 for misuse
//   nemoprobe --actions                               a line of standard input is one action, a line of output its result
//
// It is C, because it calls the kernel by number, through other architectures' tables, and in processes that may crash; and it is
// static, because it runs in any root file system.
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// How long an attempt may take before it counts as one without an answer.
enum { PATIENCE_MS = 500 };

unsigned long long granted_capabilities;

static void nothing(int signal) { (void)signal; }

// Waits for the child; ends it when it takes too long.
static int reap(pid_t pid) {
  int status = 0;
  struct timespec begin, now, pause = {0, 200000};
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (;;) {
    pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) return status;
    if (ended < 0 && errno != EINTR) return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 > PATIENCE_MS) kill(pid, SIGKILL);
    // SIGCHLD ends the pause early.
    nanosleep(&pause, NULL);
  }
}

int outcome(int (*run)(void)) {
  // Each attempt has a place of its own: what it leaves running may still write there when the next one has begun.
  enum { PLACES = 1 << 16 };
  static volatile int *places;
  static unsigned next;
  if (!places) {
    places = mmap(NULL, PLACES * sizeof *places, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (places == MAP_FAILED) abort();
    signal(SIGCHLD, nothing);
  }
  volatile int *result = &places[next++ % PLACES];
  *result = NO_ANSWER;
  pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) {
    *result = run();
    _exit(0);
  }
  int status = reap(pid);
  if (*result != NO_ANSWER) return *result;
  if (WIFSIGNALED(status)) return -WTERMSIG(status);
  // It became another program, which ended well.
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : NO_ANSWER;
}

const char *result_name(int result) {
  static char name[24];
  if (result == 0) return "works";
  if (result == FALSE_STATEMENT) return "false";
  if (result == NO_ANSWER) return "no answer";
  const char *found = result < 0 ? sigabbrev_np(-result) : strerrorname_np(result);
  if (!found) snprintf(name, sizeof name, "%d", result);
  else snprintf(name, sizeof name, "%s%s", result < 0 ? "SIG" : "", found);
  return name;
}

static int is_wanted(const char *wanted, int result, const char *name) {
  if (strcmp(wanted, "fails") == 0) return result > 0 && result < FALSE_STATEMENT;
  size_t length = strlen(name);
  for (const char *at = wanted; (at = strstr(at, name)); at += length)
    if ((at == wanted || at[-1] == ' ') && (at[length] == 0 || at[length] == ' ')) return 1;
  return 0;
}

static int tried, failed;

static void try_all(const struct attempt *attempts, size_t count, char **only) {
  for (size_t i = 0; i < count; i++) {
    const struct attempt *a = &attempts[i];
    int chosen = !*only;
    for (char **word = only; *word; word++) chosen |= !strcmp(*word, a->name) || !strcmp(*word, a->group);
    if (!chosen) continue;
    int result = outcome(a->run);
    const char *name = result_name(result);
    int held = is_wanted(a->wanted, result, name);
    failed += !held;
    // All texts are this program's own: nothing needs escaping.
    printf("%s\n    {\"group\": \"%s\", \"name\": \"%s\", \"wanted\": \"%s\", \"result\": \"%s\", \"held\": %s}", tried++ ? "," : "", a->group,
           a->name, a->wanted, name, held ? "true" : "false");
  }
}

int main(int argc, char **argv) {
  (void)argc;
  char **words = argv + 1;
  if (*words && !strcmp(*words, "--nothing")) return 0;
  if (*words && !strcmp(*words, "--actions")) return carry_out_actions();
  if (*words && !strcmp(*words, "--capabilities")) {
    char *end;
    if (!words[1] || (granted_capabilities = strtoull(words[1], &end, 16), *end)) {
      fprintf(stderr, "nemoprobe: --capabilities takes a hexadecimal number\n");
      return 2;
    }
    words += 2;
  }
  printf("{\n  \"attempts\": [");
  try_all(process_attempts, process_count, words);
  try_all(place_attempts, place_count, words);
  try_all(call_attempts, call_count, words);
  try_all(socket_attempts, socket_count, words);
  printf("\n  ],\n  \"tried\": %d,\n  \"failed\": %d\n}\n", tried, failed);
  if (!tried) {
    fprintf(stderr, "nemoprobe: nothing has that name\n");
    return 2;
  }
  return failed != 0;
}
