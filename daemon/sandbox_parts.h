/* sandbox_parts.h - what the files of the sandbox share. Nobody else includes it. */
#ifndef PAIRSOCKS_SANDBOX_PARTS_H
#define PAIRSOCKS_SANDBOX_PARTS_H

#include "config/config.h"

#include <stdint.h>

/* What may be done with a file, or below a folder. */
enum sandbox_right {
    SANDBOX_READ = 1,    /* files */
    SANDBOX_WRITE = 2,   /* files, also new ones */
    SANDBOX_BIND = 4,    /* unix sockets are made, renamed and removed */
    SANDBOX_EXECUTE = 8, /* files are read, and run as programs */
};

/* A ruleset of Landlock that is being written. */
struct sandbox_files {
    int ruleset;      /* -1: there is none */
    uint64_t handled; /* what the kernel's Landlock knows to deny */
    unsigned version; /* of the kernel's Landlock (ABI); 0 = none */
};

/* Why a part is not to be had; NULL = it is applied. Static. */
typedef const char *sandbox_why;

/* sandbox_landlock.c: a ruleset that allows nothing. `keeps_abstract`: unix sockets without a path stay
 * reachable. Closed by sandbox_files_done(). */
sandbox_why sandbox_files_init(struct sandbox_files *files, bool keeps_abstract);
void sandbox_files_done(struct sandbox_files *files);

/* sandbox_landlock.c: allows it to what `path`, or the descriptor `fd`, is now. What is not there, or not
 * within our own reach, is passed over: it is denied as well without a rule. `rights`: enum sandbox_right. */
void sandbox_allow_path(struct sandbox_files *files, const char *path, unsigned rights);
void sandbox_allow_fd(struct sandbox_files *files, int fd, unsigned rights);

/* sandbox_landlock.c: the ruleset holds from now on. */
sandbox_why sandbox_files_enter(const struct sandbox_files *files);

/* sandbox_places.c: allows all that the daemon needs to serve `config` and to read it again. */
void sandbox_allow_places(struct sandbox_files *files, const struct config *config,
                          const char *file, int folder);

/* sandbox_seccomp.c: from now on there are only the calls that the daemon makes. `files`: whether Landlock
 * was applied, for sandbox_find(). */
sandbox_why sandbox_calls_enter(bool files);

/* sandbox_seccomp.c: the sandbox that the process is in already: false = none. */
bool sandbox_find(bool *ret_files);

#endif
