/* control_machine.h - what the files of the control plane share. Nobody else includes it. */
#ifndef PAIRSOCKS_CONTROL_MACHINE_H
#define PAIRSOCKS_CONTROL_MACHINE_H

#include "daemon/control_plane.h"
#include "daemon/control_socket.h"
#include "daemon/inspect.h"
#include "daemon/serving.h"
#include "daemon/upgrade.h"
#include "daemon/watchdog.h"

#include <time.h>

#define CONTROL_STATUS_MAX 160

/* NULL: the new process `pid` serves, and this one drains; else why it does not, and this one serves on; `errors`: lines
 * of the new process about that. */
typedef void control_upgraded(void *context, pid_t pid, const char *failure, const char *errors);

/* What came of a reload. */
struct reload_outcome {
    bool is_in_force;
    const char *errors; /* lines, as --check writes them; "" if it is in force */
    const char *notes;  /* lines: what could not change, or would be better otherwise */
};

/* Somebody who wants to know that; the asker's, until `done` was called. */
struct reload_waiter {
    struct reload_waiter *next;
    void (*done)(void *context, const struct reload_outcome *outcome);
    void *context;
};

struct control_plane {
    struct ev_loop *loop;
    struct serving serving;
    struct inspector *inspector;
    struct control_socket *control;
    const char *file;      /* borrowed from the command line; NULL: none was given or found */
    int folder;            /* that the file is in, beyond the reach of a chroot; -1 = none needed */
    char *name;            /* of the file there; owned; NULL = none needed */
    atomic_uint ended;     /* workers */
    atomic_uint following; /* workers that have not taken up the last configuration yet */
    bool is_applying;      /* until they have: a plan that is not taken up yet holds its sockets */
    bool is_ready;         /* they have taken up the first one */
    bool reload_again;     /* asked for in the meantime */
    struct reload_waiter *waiters; /* for what is being applied */
    struct reload_waiter *waiters_again;
    char *notes;                /* on what is being applied; owned */
    int64_t started, loaded;    /* the daemon, and the configuration that is in force; Unix time */
    struct timespec started_at; /* the same, of the clock that never goes back */
    bool draining;
    bool has_failed;       /* the last reload */
    struct notify *notify; /* borrowed from main() */
    struct watchdog watchdog;
    char status[CONTROL_STATUS_MAX]; /* that systemd was told last */
    struct successor *successor;     /* borrowed from main() */
    struct upgrade upgrade;
    control_upgraded *upgrade_tell; /* NULL: nobody */
    void *upgrade_context;
    bool upgrade_again; /* asked for while a reload is being applied */
    bool is_replaced;   /* another process is the service now */
    ev_signal term, interrupt, hangup, user2;
    ev_async worker_ended, worker_serves;
    ev_timer drain_deadline, report, expiry;
};

/* control_reload.c: before the chroot, where a symbolic link would lead elsewhere: opens the folder of
 * the configuration's file. False with a message logged. */
bool control_open_folder(struct control_plane *cp, const struct config *config);

/* control_reload.c: reads the configuration again and serves it, or logs why not and changes nothing. While
 * the workers still take up the one before, it is done afterwards; while the daemon drains, not at all. */
void control_reload(struct control_plane *cp);

/* The same for somebody who waits for the outcome of his own reload: of the one that begins now, or after
 * the one that is under way. `done` is called once, perhaps before this returns. */
void control_reload_for(struct control_plane *cp, struct reload_waiter *waiter);

/* No worker takes anything up any more: who waits for a reload is told so. */
void control_end_reloads(struct control_plane *cp);

/* The reload that waits until another one, or an upgrade, is over. Harmless when none does, and too early. */
void control_reload_again(struct control_plane *cp);

/* He does not wait any more. The reload goes on. */
void control_forget_waiter(struct control_plane *cp, struct reload_waiter *waiter);

/* control_reload.c: everything of `change` takes effect; control_follows() when the workers serve it. */
void control_apply(struct control_plane *cp, struct serving_change *change);

/* control_reload.c: all workers serve what was applied last. */
void control_follows(struct control_plane *cp);

/* control_command.c: somebody asks for something by the control socket. */
void control_request(void *context, struct control_client *client, char *line);

/* control_command.c: the members of an object that say how the daemon is: pid, state, uptime_ms, started,
 * workers, file, loaded, log_level, sessions, max_sessions, listeners. */
void control_describe(const struct control_plane *cp, struct json *json);

/* control_plane.c: no new connections; it ends with the last session, or by `drain_timeout`. Harmless
 * while it drains already. */
void control_drain(struct control_plane *cp);

/* control_plane.c: ends all sessions at once. */
void control_stop(struct control_plane *cp);

/* control_upgrade.c: starts the same program again and has it take over all that listens; then this process drains. Not while it drains
 * or upgrades already. `told` (or NULL) is called once, at once or later. */
void control_upgrade(struct control_plane *cp, control_upgraded *told, void *context);

/* Who asked does not wait any more; the upgrade goes on. */
void control_forget_upgrade(struct control_plane *cp, const void *context);

/* The one that waits for a reload to be in force, if any; and ends the new process: this one is ending itself. */
void control_upgrade_again(struct control_plane *cp);
void control_upgrade_abort(struct control_plane *cp);

void control_upgrade_init(struct control_plane *cp, const char *binary, char **arguments);

/* The first configuration is served: says so to the process before, or else to systemd. */
void control_serves(struct control_plane *cp);

/* control_notify.c: tells systemd that the start or a reload is over; that the end takes up to `ms`; how many sessions there
 * are, if it does not know; that the start has failed. */
void control_tell_ready(struct control_plane *cp);
void control_tell_stopping(struct control_plane *cp, int64_t ms);
void control_tell_status(struct control_plane *cp);
void control_tell_failed(struct control_plane *cp);

#endif
