/* control_plane.h - the main thread: binds the sockets, starts the workers, waits for signals,
 * ends it all. It never carries a session. */
#ifndef PAIRSOCKS_CONTROL_PLANE_H
#define PAIRSOCKS_CONTROL_PLANE_H

#include "config/config.h"
#include "daemon/inherited.h"
#include "daemon/successor.h"

/* What main() has got ready. All but `config` is borrowed. */
struct control_setup {
    struct config *config; /* a reference, which is taken over */
    const char *file; /* where a reload reads the next one; NULL: the built-in default was taken */
    struct inherited *inherited; /* sockets that were there before us */
    struct notify *notify;       /* to systemd */
    struct successor *successor; /* of whom, in an upgrade */
    const char *binary;          /* that an upgrade starts; NULL: it cannot be found */
    char **arguments;            /* with which */
};

/* Serves until told to stop. Returns the exit status: 0 after a drain or a stop, 1 when it could not start (the
 * reason is logged). The log is open. */
int control_plane_run(const struct control_setup *setup);

#endif
