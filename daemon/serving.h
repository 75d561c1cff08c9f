/* serving.h - what is being served: a snapshot, its sockets and the workers. The one place where a
 * configuration takes effect, at the start and again at each reload: everything new is opened and
 * bound first, then all changes at once; when something cannot be had, nothing has changed. The
 * control plane's thread. */
#ifndef PAIRSOCKS_SERVING_H
#define PAIRSOCKS_SERVING_H

#include "daemon/health.h"
#include "daemon/name_watch.h"
#include "daemon/privileges.h"
#include "daemon/service_watch.h"
#include "daemon/sockets.h"
#include "daemon/status_server.h"

#include <time.h>

struct serving {
    struct workers workers;
    struct snapshot *snapshot;      /* a reference */
    struct snapshot *next;          /* borrowed: while it is being prepared */
    struct name_watch *names;       /* owned: of all whitelists */
    struct service_watch *services; /* owned: of all upstreams */
    struct health *health;          /* owned: of their servers */
    struct status_server *status;   /* owned */
    struct sockets sockets;
    struct privileges privileges;
    struct inherited *inherited; /* borrowed: sockets that were there before us */
    int error_number; /* why the last preparation failed, where there is such a number; else 0 */
    time_t started, loaded; /* when the first configuration took effect, and the last */
};

/* Before anything else: what watches the names of whitelists, on the control plane's loop. False
 * with a message logged. */
bool serving_init(struct serving *serving, struct ev_loop *loop, const struct config *config);

/* A configuration that is ready to be served. */
struct serving_change {
    struct snapshot *snapshot;
    struct sockets sockets;
    struct worker_plan **plans; /* one for each worker */
    struct status_change status;
};

/* Opens all that `config` (a reference, taken over also by a failure) needs beyond what is served
 * already. False with the reasons logged, and written to `told`, one a line; nothing is left behind then. */
bool serving_prepare(struct serving *serving, struct config *config, FILE *told,
                     struct serving_change *ret);

/* Serves it. Cannot fail. The workers tell by workers->serves when they have followed. */
void serving_apply(struct serving *serving, struct serving_change *change);

void serving_discard(struct serving *serving, struct serving_change *change);

/* After workers_done(): lets go of the rest, and removes the files of unix sockets. */
void serving_done(struct serving *serving);

#endif
