// A child that shares its parent's memory, as vfork(2) makes one: nothing is copied and nothing has to be thrown away for a
// process that only prepares another one.
#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CHILD_STACK = 1 << 20, GUARD = 64 << 10 };

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

// The call itself: on the child's side there is no way back into this function, whose frame is on the other stack.
static long clone_onto_stack(struct nemo_clone_args *args, int (*run)(void *), void *context) {
#if defined(__x86_64__)
  long result = SYS_clone3;
  register void *function __asm__("r12") = (void *)run;
  register void *argument __asm__("r13") = context;
  __asm__ volatile(
      "syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%ebp, %%ebp\n\tmov %%r13, %%rdi\n\tcall *%%r12\n\t"
      "mov %%eax, %%edi\n\tmov %[leave], %%eax\n\tsyscall\n\thlt\n1:"
      : "+a"(result)
      : "D"(args), "S"(sizeof *args), "r"(function), "r"(argument), [leave] "i"(SYS_exit)
      : "rcx", "r11", "memory", "cc");
#elif defined(__aarch64__)
  register long result __asm__("x0") = (long)args;
  register long size __asm__("x1") = sizeof *args;
  register long number __asm__("x8") = SYS_clone3;
  register void *function __asm__("x9") = (void *)run;
  register void *argument __asm__("x10") = context;
  __asm__ volatile("svc 0\n\tcbnz x0, 1f\n\tmov x29, xzr\n\tmov x0, x10\n\tblr x9\n\tmov x8, %[leave]\n\tsvc 0\n1:"
                   : "+r"(result)
                   : "r"(size), "r"(number), "r"(function), "r"(argument), [leave] "i"(SYS_exit)
                   : "memory", "cc");
#else
#error "the registers of this architecture are not known here"
#endif
  if (result >= 0) return result;
  errno = (int)-result;
  return -1;
}

pid_t nemo_clone_sharing(int (*run)(void *), void *context, int cgroup) {
  char *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -1;
  struct nemo_clone_args args = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};
  args.stack = (uint64_t)(uintptr_t)stack;
  args.stack_size = CHILD_STACK;
  if (cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = (uint64_t)cgroup;
  }
  long pid = mprotect(stack, GUARD, PROT_NONE) == 0 ? clone_onto_stack(&args, run, context) : -1;
  int saved = errno;
  munmap(stack, CHILD_STACK);
  errno = saved;
  return (pid_t)pid;
}
