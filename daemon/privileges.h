/* privileges.h - from root to the user that the daemon serves as: `user`, `group` and `chroot`. */
#ifndef PAIRSOCKS_PRIVILEGES_H
#define PAIRSOCKS_PRIVILEGES_H

#include "config/config.h"

struct privileges {
    const char *user, *group, *chroot; /* borrowed from the configuration; NULL = as it is */
    int64_t uid, gid;                  /* -1: stays */
    bool confines;                     /* there is a chroot, also when that text is gone */
};

/* Looks the names up, before anything is bound. `is_confined`: the root directory was changed before this program was
 * started, by the one that it takes over from; it is not changed again. What is all digits is a number; one without an entry
 * is taken if there is a `group`. False, with a message logged, when there is no such user or group,
 * or somebody else than root asks for a change. */
bool privileges_find(const struct config *config, bool is_confined, struct privileges *ret);

/* What is dropped is never got back by running a program (PR_SET_NO_NEW_PRIVS), if anything is to be
 * dropped, or a sandbox entered. To be called before the first thread starts, for threads inherit it. */
bool privileges_forbid_new(const struct config *config);

/* For all threads, and for good. False with a message logged. */
bool privileges_drop(const struct privileges *privileges);

#endif
