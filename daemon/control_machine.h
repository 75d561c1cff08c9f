/* control_machine.h - what the files of the control plane share. Nobody else includes it. */
#ifndef PAIRSOCKS_CONTROL_MACHINE_H
#define PAIRSOCKS_CONTROL_MACHINE_H

#include "daemon/control_plane.h"
#include "daemon/serving.h"

struct control_plane {
    struct ev_loop *loop;
    struct serving serving;
    const char *file;      /* borrowed from the command line; NULL: none was given or found */
    int folder;            /* that the file is in, beyond the reach of a chroot; -1 = none needed */
    char *name;            /* of the file there; owned; NULL = none needed */
    atomic_uint ended;     /* workers */
    atomic_uint following; /* workers that have not taken up the last configuration yet */
    bool is_applying;      /* until they have: a plan that is not taken up yet holds its sockets */
    bool is_ready;         /* they have taken up the first one */
    bool reload_again;     /* asked for in the meantime */
    bool draining;
    ev_signal term, interrupt, hangup;
    ev_async worker_ended, worker_serves;
    ev_timer drain_deadline, report, expiry;
};

/* control_reload.c: before the chroot, where a symbolic link would lead elsewhere: opens the folder of
 * the configuration's file. False with a message logged. */
bool control_open_folder(struct control_plane *cp, const struct config *config);

/* control_reload.c: reads the configuration again and serves it, or logs why not and changes nothing. While
 * the workers still take up the one before, it is done afterwards; while the daemon drains, not at all. */
void control_reload(struct control_plane *cp);

/* control_reload.c: everything of `change` takes effect; control_follows() when the workers serve it. */
void control_apply(struct control_plane *cp, struct serving_change *change);

/* control_reload.c: all workers serve what was applied last. */
void control_follows(struct control_plane *cp);

/* control_plane.c: no new connections; it ends with the last session, or by `drain_timeout`. Harmless
 * while it drains already. */
void control_drain(struct control_plane *cp);

/* control_plane.c: ends all sessions at once. */
void control_stop(struct control_plane *cp);

#endif
