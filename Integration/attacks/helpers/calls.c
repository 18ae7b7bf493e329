/* System calls that a container's filter has to stop, and other tables to make them through. */
#define _GNU_SOURCE
#include "attack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *errno_name(int number) {
    const char *name = number ? strerrorname_np(number) : "0";
    return name ? name : "?";
}

/* Arguments that can do no harm even when the call is allowed: bad addresses, bad descriptors, empty flags. */
static const struct {
    const char *name;
    long number, a, b, c, d, e;
} calls[] = {
    {"mount", SYS_mount, 0, 0, 0, 0, 0},
    {"umount2", SYS_umount2, 0, 0, 0, 0, 0},
    {"pivot_root", SYS_pivot_root, 0, 0, 0, 0, 0},
    {"setns", SYS_setns, -1, 0, 0, 0, 0},
    {"unshare", SYS_unshare, 0, 0, 0, 0, 0},
    {"bpf", SYS_bpf, -1, 0, 0, 0, 0},
    {"perf_event_open", SYS_perf_event_open, 0, 0, -1, -1, 0},
    {"add_key", SYS_add_key, 0, 0, 0, 0, 0},
    {"keyctl", SYS_keyctl, -1, 0, 0, 0, 0},
    {"request_key", SYS_request_key, 0, 0, 0, 0, 0},
    {"userfaultfd", SYS_userfaultfd, -1, 0, 0, 0, 0},
    {"io_uring_setup", SYS_io_uring_setup, 0, 0, 0, 0, 0},
    {"open_by_handle_at", SYS_open_by_handle_at, -1, 0, 0, 0, 0},
    {"init_module", SYS_init_module, 0, 0, 0, 0, 0},
    {"process_vm_readv", SYS_process_vm_readv, -1, 0, 0, 0, 0},
    {"mkdir", SYS_mkdir, 0, 0, 0, 0, 0},
};

int attack_calls(int argc, char **argv) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int wanted = argc < 2;
        for (int j = 1; j < argc; j++)
            wanted |= !strcmp(argv[j], calls[i].name);
        if (!wanted)
            continue;
        long result = syscall(calls[i].number, calls[i].a, calls[i].b, calls[i].c, calls[i].d, calls[i].e);
        printf("%s %s\n", calls[i].name, errno_name(result < 0 ? errno : 0));
    }
    return 0;
}

int attack_foreign_abi(int argc, char **argv) {
    long result;
    if (argc != 2)
        return 2;
    if (!strcmp(argv[1], "x32")) {
        result = syscall(0x40000000L | SYS_getpid);
        result = result < 0 ? -errno : result;
    } else
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    if ((int)result < 0)
        printf("REFUSED %s\n", errno_name(-(int)result));
    else
        printf("ANSWERED %s\n", (int)result == getpid() ? "pid" : "?");
    return 0;
}
