#define _GNU_SOURCE
#include "attack.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int, char **);
    const char *usage;
} subcommands[] = {
    {"snoop", attack_snoop, "DEV:INO MARKER STOPFILE: watch joining processes, write their exe, climb from their fds"},
    {"naive", attack_naive, "PID HOSTDIR SECONDS: join the pid namespace of PID as an unprotected runtime would"},
    {"flip", attack_flip, "A B: exchange two names until killed"},
    {"fds", attack_fds, ": list the open descriptors"},
    {"calls", attack_calls, "[NAME...]: make system calls with harmless arguments, print the errno of each"},
    {"foreign-abi", attack_foreign_abi, "int80|x32: getpid through another system call table"},
    {"open", attack_open, "r|w PATH...: open, print the errno"},
    {"tiocsti", attack_tiocsti, "FD plain|high|linux: push a byte into a terminal's input"},
    {"climb", attack_climb, "MARKER: leave a chroot by a second one"},
    {"handle-of", attack_handle_of, "PATH: print a file handle"},
    {"handle-open", attack_handle_open, "PATH HANDLE MARKER: open a file handle on the file system of PATH"},
    {"key-run", attack_key_run, "NAME COMMAND...: run in a new session keyring that holds the key NAME"},
    {"key-find", attack_key_find, "NAME: search the session keyring"},
    {"abstract", attack_abstract, "NAME: connect to an abstract socket"},
    {"tcp", attack_tcp, "PORT: connect to the loopback address"},
    {"setgroups", attack_setgroups, "GID: become a member of a group"},
    {"ids", attack_ids, ": print user ids, group ids, capabilities"},
    {"hook", attack_hook, "FILE: as a hook, write down the environment, cwd, descriptors and stdin"},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof subcommands / sizeof *subcommands; i++)
        if (!strcmp(argv[1], subcommands[i].name)) {
            setvbuf(stdout, NULL, _IOLBF, 0);
            return subcommands[i].run(argc - 1, argv + 1);
        }
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++)
        fprintf(stderr, "attack %s %s\n", subcommands[i].name, subcommands[i].usage);
    return 2;
}
