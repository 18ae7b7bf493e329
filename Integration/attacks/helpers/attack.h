/* What a hostile process tries, as one static program with subcommands; the tests put it into a root file system. */
#pragma once

#include <stdint.h>

/* Each returns the exit status; argv[0] is the subcommand's own name. */
int attack_snoop(int argc, char **argv);
int attack_naive(int argc, char **argv);
int attack_flip(int argc, char **argv);
int attack_fds(int argc, char **argv);
int attack_calls(int argc, char **argv);
int attack_foreign_abi(int argc, char **argv);
int attack_open(int argc, char **argv);
int attack_tiocsti(int argc, char **argv);
int attack_climb(int argc, char **argv);
int attack_handle_of(int argc, char **argv);
int attack_handle_open(int argc, char **argv);
int attack_key_run(int argc, char **argv);
int attack_key_find(int argc, char **argv);
int attack_abstract(int argc, char **argv);
int attack_tcp(int argc, char **argv);
int attack_setgroups(int argc, char **argv);
int attack_ids(int argc, char **argv);
int attack_hook(int argc, char **argv);

/* The name of an errno as in errno.h ("EPERM"); "0" for 0. */
const char *errno_name(int number);

/* Whether `marker` (an absolute host path) can be reached from the directory `fd` by climbing "..". */
int reaches(int fd, const char *marker);
