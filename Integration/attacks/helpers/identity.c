/* Attacks on what a process inherits: keys, terminals, groups, sockets, the environment. */
#define _GNU_SOURCE
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

int attack_tiocsti(int argc, char **argv) {
    if (argc != 3)
        return 2;
    char byte = !strcmp(argv[2], "linux") ? 3 : 'Z'; /* TIOCLINUX 3: paste the selection */
    unsigned long request = !strcmp(argv[2], "linux") ? TIOCLINUX : TIOCSTI;
    if (!strcmp(argv[2], "high"))
        request |= 1UL << 32; /* the kernel looks at 32 bits only (CVE-2019-10063) */
    long result = syscall(SYS_ioctl, atoi(argv[1]), request, &byte);
    printf("%s\n", result < 0 ? errno_name(errno) : "PUSHED");
    return 0;
}

int attack_key_run(int argc, char **argv) {
    if (argc < 3)
        return 2;
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0
        || syscall(SYS_add_key, "user", argv[1], "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0) {
        perror("keyring");
        return 1;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}

int attack_key_find(int argc, char **argv) {
    if (argc != 2)
        return 2;
    long key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", argv[1], 0);
    printf("%s\n", key < 0 ? errno_name(errno) : "FOUND");
    return 0;
}

int attack_abstract(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc != 2 || strlen(argv[1]) > sizeof address.sun_path - 1)
        return 2;
    memcpy(address.sun_path + 1, argv[1], strlen(argv[1]));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(argv[1]));
    puts(connect(fd, (struct sockaddr *)&address, length) ? errno_name(errno) : "CONNECTED");
    return 0;
}

int attack_tcp(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (argc != 2)
        return 2;
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    puts(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address) ? errno_name(errno)
                                                                                                : "CONNECTED");
    return 0;
}

int attack_setgroups(int argc, char **argv) {
    gid_t group = argc == 2 ? (gid_t)strtoul(argv[1], NULL, 10) : 0;
    puts(setgroups(1, &group) ? errno_name(errno) : "JOINED");
    return 0;
}

int attack_ids(int argc, char **argv) {
    (void)argc, (void)argv;
    uid_t ruid, euid, suid;
    getresuid(&ruid, &euid, &suid);
    printf("uid %u %u %u\n", ruid, euid, suid);
    FILE *status = fopen("/proc/self/status", "re");
    for (char line[512]; status && fgets(line, sizeof line, status);)
        if (!strncmp(line, "Cap", 3) || !strncmp(line, "Groups", 6) || !strncmp(line, "NoNewPrivs", 10) ||
            !strncmp(line, "Seccomp:", 8) || !strncmp(line, "Gid", 3))
            fputs(line, stdout);
    return 0;
}

int attack_hook(int argc, char **argv) {
    FILE *out = argc == 2 ? fopen(argv[1], "we") : NULL;
    if (!out)
        return 1;
    for (char **e = environ; *e; e++)
        fprintf(out, "env %s\n", *e);
    char path[4096];
    fprintf(out, "cwd %s\n", getcwd(path, sizeof path) ? path : "?");
    for (int fd = 0; fd < 1024; fd++)
        if (fd != fileno(out) && fcntl(fd, F_GETFD) >= 0)
            fprintf(out, "fd %d\n", fd);
    char state[65536];
    size_t n = fread(state, 1, sizeof state - 1, stdin);
    state[n] = 0;
    fprintf(out, "stdin %s\n", state);
    return fclose(out) != 0;
}
