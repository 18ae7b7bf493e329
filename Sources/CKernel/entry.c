// The executable's entry point, before the C library and before relocation: puts the program onto a detached read-only mount of
// its own file without a second execve (self_protection.c says why, checks what came of it, and does it the long way when this
// did not work). The file's segments are mapped anew from that mount over themselves, and the kernel is told that this is the
// executable now. Nothing here may use the C library, or data that the loader has yet to relocate.
#include <elf.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

enum { PAGE = 4096, EMPTY_PATH = 0x1000, CLONE_TREE = 1, READ_ONLY = 1 };

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { HOT_DATA = 128 << 10 };

#define RAW __attribute__((no_builtin, no_stack_protector, noinline)) static

__asm__(".globl nemo_start\n"
        ".hidden nemo_start\n"
        ".type nemo_start, @function\n"
        "nemo_start:\n"
        "  mov %rsp, %rbx\n"
        "  mov %rdx, %rbp\n"
        "  mov %rsp, %rdi\n"
        "  and $-16, %rsp\n"
        "  call nemo_before_start\n"
        "  mov %rbx, %rsp\n"
        "  mov %rbp, %rdx\n"
        "  xor %ebp, %ebp\n"
        "  jmp _start\n");

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

RAW long call(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

RAW int equal(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

RAW int names_entry(const char *argument) {
  return equal(argument, "create") || equal(argument, "run") || equal(argument, "exec");
}

// The first argument is the verb, unless it is a flag: then any argument might be.
RAW int enters_container(char **arguments) {
  if (*arguments && **arguments != '-') return names_entry(*arguments);
  for (; *arguments; arguments++)
    if (names_entry(*arguments)) return 1;
  return 0;
}

// Opens the file that `tree` is the mount of, by its link in /proc: an O_PATH descriptor cannot be mapped.
RAW long reopen(long tree) {
  char path[] = "/proc/self/fd/......", digits[8];
  int n = 0, at = sizeof("/proc/self/fd/") - 1;
  do digits[n++] = (char)('0' + tree % 10);
  while ((tree /= 10) && n < 6);
  while (n) path[at++] = digits[--n];
  path[at] = 0;
  return call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

// Maps one segment from `file` as the kernel did when it loaded the program. Where it ends within a page, zeros follow.
RAW int map_again(const Elf64_Phdr *segment, uintptr_t base, long file) {
  uintptr_t start = (base + segment->p_vaddr) & -PAGE, end = base + segment->p_vaddr + segment->p_filesz;
  int access = (segment->p_flags & PF_R ? PROT_READ : 0) | (segment->p_flags & PF_W ? PROT_WRITE : 0) |
               (segment->p_flags & PF_X ? PROT_EXEC : 0);
  long result = call(SYS_mmap, (long)start, (long)(end - start), access, MAP_PRIVATE | MAP_FIXED, file,
                     (long)(segment->p_offset & -PAGE));
  if (result != (long)start) return 0;
  if (segment->p_memsz > segment->p_filesz && segment->p_flags & PF_W)
    for (volatile char *zero = (volatile char *)end; (uintptr_t)zero % PAGE; zero++) *zero = 0;
  return 1;
}

// A fault for each page that relocation and every verb write is dearer than one call for all of them: the writable data's first pages,
// before the constants that Swift puts there. Failing, or a kernel before Linux 5.14, changes nothing.
RAW void touch_data(const Elf64_Phdr *segment, uintptr_t base) {
  if (!(segment->p_flags & PF_W)) return;
  uintptr_t start = (base + segment->p_vaddr) & -PAGE;
  uintptr_t size = segment->p_filesz > HOT_DATA ? HOT_DATA : segment->p_filesz & -PAGE;
  call(SYS_madvise, (long)start, (long)size, MADV_POPULATE_WRITE, 0, 0, 0);
}

RAW int is_loaded(const Elf64_Phdr *segment) { return segment->p_type == PT_LOAD && segment->p_filesz > 0; }

RAW void become(long file, char **arguments, char **environment, uintptr_t stack) {
  uintptr_t base = (uintptr_t)&__ehdr_start;
  const Elf64_Phdr *segments = (const Elf64_Phdr *)(base + __ehdr_start.e_phoff);
  struct prctl_mm_map map;
  for (unsigned i = 0; i < sizeof map / 4; i++) ((volatile uint32_t *)&map)[i] = 0;
  for (int i = 0; i < __ehdr_start.e_phnum; i++) {
    const Elf64_Phdr *segment = &segments[i];
    if (!is_loaded(segment)) continue;
    if (!map_again(segment, base, file)) {
      // Half of the program may be gone.
      static const char text[] = "nemoshell: no memory to map the runtime's binary\n";
      call(SYS_write, 2, (long)text, sizeof text - 1, 0, 0, 0);
      call(SYS_exit_group, 1, 0, 0, 0, 0, 0);
    }
    touch_data(segment, base);
    uintptr_t start = base + segment->p_vaddr, end = start + segment->p_filesz;
    if (segment->p_flags & PF_X) map.start_code = start, map.end_code = end;
    if (segment->p_flags & PF_W) map.start_data = start, map.end_data = end;
  }
  map.start_brk = map.brk = (uint64_t)call(SYS_brk, 0, 0, 0, 0, 0, 0);
  map.start_stack = stack;
  // The words lie one behind the other, the arguments before the environment.
  char **last = environment;
  while (*last) last++;
  char *end = last > environment ? last[-1] : environment[-2];
  while (*end) end++;
  map.arg_start = (uintptr_t)arguments[0];
  map.arg_end = last > environment ? (uintptr_t)environment[0] : (uintptr_t)end + 1;
  map.env_start = map.arg_end;
  map.env_end = (uintptr_t)end + 1;
  map.exe_fd = (uint32_t)file;
  call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&map, sizeof map, 0, 0);
}

__attribute__((no_builtin, no_stack_protector, used, visibility("hidden"))) void nemo_before_start(uintptr_t *stack) {
  long count = (long)stack[0];
  char **arguments = (char **)(stack + 1), **environment = arguments + count + 1;
  if (count < 1 || !enters_container(arguments + 1)) return;
  long tree = call(SYS_open_tree, AT_FDCWD, (long)"/proc/self/exe", CLONE_TREE | O_CLOEXEC, 0, 0, 0);
  if (tree < 0) return;
  struct mount_attr attributes;
  attributes.attr_set = READ_ONLY;
  attributes.attr_clr = attributes.propagation = attributes.userns_fd = 0;
  if (call(SYS_mount_setattr, tree, (long)"", EMPTY_PATH, (long)&attributes, sizeof attributes, 0) == 0) {
    long file = reopen(tree);
    if (file >= 0) {
      become(file, arguments, environment, (uintptr_t)stack);
      call(SYS_close, file, 0, 0, 0, 0, 0);
    }
  }
  call(SYS_close, tree, 0, 0, 0, 0, 0);
}

#else

__asm__(".globl nemo_start\n.hidden nemo_start\nnemo_start:\n  b _start\n");

#endif
