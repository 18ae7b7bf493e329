/* Attacks through names, descriptors and file handles. */
#define _GNU_SOURCE
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

int attack_flip(int argc, char **argv) {
    if (argc != 3)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE)) {
            perror("renameat2");
            return 1;
        }
}

int attack_fds(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int fd = 0; fd < 4096; fd++) {
        char path[64], target[4096];
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = 0;
        printf("%d %s\n", fd, target);
    }
    return 0;
}

int attack_open(int argc, char **argv) {
    if (argc < 3)
        return 2;
    for (int i = 2; i < argc; i++) {
        int fd = open(argv[i], (*argv[1] == 'w' ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY);
        printf("%s %s\n", argv[i], errno_name(fd < 0 ? errno : 0));
        if (fd >= 0)
            close(fd);
    }
    return 0;
}

int attack_climb(int argc, char **argv) {
    if (argc != 2)
        return 2;
    int here = open("/", O_RDONLY | O_DIRECTORY);
    char name[] = "/tmp/climb.XXXXXX";
    if (here < 0 || !mkdtemp(name) || chroot(name)) {
        printf("REFUSED %s\n", errno_name(errno));
        return 1;
    }
    puts(reaches(here, argv[1]) ? "REACHED" : "CONTAINED");
    return 0;
}

int attack_handle_of(int argc, char **argv) {
    struct {
        struct file_handle head;
        unsigned char bytes[128];
    } handle = {.head.handle_bytes = 128};
    int mount;
    if (argc != 2 || name_to_handle_at(AT_FDCWD, argv[1], &handle.head, &mount, 0))
        return 1;
    printf("%d:", handle.head.handle_type);
    for (unsigned i = 0; i < handle.head.handle_bytes; i++)
        printf("%02x", handle.head.f_handle[i]);
    puts("");
    return 0;
}

int attack_handle_open(int argc, char **argv) {
    struct {
        struct file_handle head;
        unsigned char bytes[128];
    } handle = {0};
    char *hex;
    if (argc != 4)
        return 2;
    handle.head.handle_type = (int)strtol(argv[2], &hex, 10);
    for (hex++; hex[0] && hex[1]; hex += 2) {
        unsigned byte;
        sscanf(hex, "%2x", &byte);
        handle.head.f_handle[handle.head.handle_bytes++] = (unsigned char)byte;
    }
    int mount = open(argv[1], O_RDONLY);
    int fd = open_by_handle_at(mount, &handle.head, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        printf("REFUSED %s\n", errno_name(errno));
    else
        puts(reaches(fd, argv[3]) ? "REACHED" : "OPENED");
    return 0;
}
