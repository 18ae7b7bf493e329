// What is tried from inside of a sandbox. Every attempt is chosen to do no harm where it succeeds, and runs in a process of its own.
#pragma once

#include <stddef.h>

// Results that are no errno: a statement about the process that is false, and a result that never came.
enum { FALSE_STATEMENT = 4096, NO_ANSWER };

struct attempt {
  const char *group;
  const char *name;
  // The results that are right, by name, with spaces: errnos, "works", "false", or the signal that ends it. "fails" is any errno.
  const char *wanted;
  // 0, or the errno. May end the process by a signal.
  int (*run)(void);
};

extern const struct attempt call_attempts[], socket_attempts[], process_attempts[], place_attempts[];
extern const size_t call_count, socket_count, process_count, place_count;

// Bits of the capabilities that the sandbox was given.
extern unsigned long long granted_capabilities;

// Makes the attempt in a child. Returns 0, an errno, one of the results above, or a signal's number, negative.
int outcome(int (*run)(void));
// The name of a result, as in `wanted`.
const char *result_name(int result);

// Reads actions from standard input and writes a result for each; returns the exit status.
int carry_out_actions(void);
