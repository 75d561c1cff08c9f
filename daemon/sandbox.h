/* sandbox.h - the daemon confines itself: to the files that its configuration names and its libraries
 * need (Landlock), and to the system calls that it makes (seccomp). `[daemon] sandbox`. What was begun
 * before goes on: sockets and files that are open stay open. */
#ifndef PAIRSOCKS_SANDBOX_H
#define PAIRSOCKS_SANDBOX_H

#include "config/config.h"

/* Confines the calling thread and all that it will start, programs included, for good: to be called when
 * everything is open and privileges are dropped, and before any other thread begins. `file` is the
 * configuration's (NULL: none), `folder` the one that it is read from (-1: the one in `file`'s path).
 * Logs what was applied. `auto` takes what there is. False, with a message logged: `yes`, and a part is not
 * to be had.
 *
 * A process that was started by a confined daemon has that one's sandbox, and gets no second one: Landlock
 * has a limited number of layers, and each filter costs every system call a little. */
bool sandbox_enter(const struct config *config, const char *file, int folder);

#endif
