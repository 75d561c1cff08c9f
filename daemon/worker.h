/* worker.h - a thread with an event loop, a resolver, pools, and its own listening sockets and
 * sessions. The control plane makes workers, starts them, and sends them commands and plans of
 * what to serve; between workers only a gate's queue speaks. */
#ifndef PAIRSOCKS_WORKER_H
#define PAIRSOCKS_WORKER_H

#include "daemon/counters.h"
#include "daemon/deadlines.h"
#include "daemon/inspect_order.h"
#include "daemon/login_cache.h"
#include "daemon/password_pool.h"
#include "daemon/relay.h"
#include "daemon/snapshot.h"
#include "daemon/spares.h"
#include "streams/datagram.h"
#include "streams/listener.h"

#include <pthread.h>

enum worker_command {
    WORKER_SERVE,
    WORKER_DRAIN, /* no new connections; ends when the last session has */
    WORKER_STOP,  /* resets all sessions and ends */
};

struct session;
struct workers;

/* What a worker shall serve from now on; see workers_serve(). */
struct worker_plan_entry {
    unsigned id;    /* of the socket */
    int fd;         /* new: owned by the plan until it is taken over; -1: the worker has it */
    bool is_shared; /* with another process, which serves who waits when we leave */
    const struct snapshot_listener *listener;
};

struct worker_plan {
    struct snapshot *snapshot; /* a reference */
    unsigned count;
    struct worker_plan_entry entries[];
};

/* One listening socket of one worker. */
struct worker_listener {
    struct listener listener;
    struct worker_listener *next;
    struct worker *worker;
    unsigned id;                            /* several may have the same */
    bool is_shared;                         /* as the plan's entry says */
    const struct snapshot_listener *serves; /* of the worker's snapshot; what it accepts for */
};

struct session_list {
    struct session *first, *last;
};

struct worker {
    struct workers *all; /* borrowed */
    unsigned index;
    pthread_t thread;
    struct ev_loop *loop;
    struct poller *poller; /* a reference */
    ev_async wake;
    ev_check clock;
    struct resolver *resolver;
    struct buffer_pool pool;
    struct pipe_pool pipes;
    struct spares handshakes;
    struct connector_budget attempts; /* beside the first of each connection that is being made */
    struct relay_tools tools;
    struct counters *counters;          /* owned */
    struct datagram_scratch *datagrams; /* owned; NULL until an association needs it */
    struct worker_listener *listeners;  /* owned */
    struct snapshot *snapshot;          /* a reference; NULL before the first plan */
    struct ip_address
        source; /* of a connection to the address that was judged last: read at once */
    struct session_list sessions;
    struct deadlines deadlines;    /* of the sessions */
    struct queue_inbox evicted;    /* sessions of ours that must leave a queue */
    struct password_inbox checked; /* passwords of our sessions */
    struct inspect_inbox letters;  /* what the control plane wants to know */
    uint64_t now;                  /* ms, monotonic, of this turn of the loop */
    uint64_t next_id;
    bool closing;   /* its listeners are closed: it ends with its last session */
    ev_async asked; /* whether it turns */
    atomic_bool owes_turn, has_ended;
    atomic_int command;               /* enum worker_command */
    struct worker_plan *_Atomic plan; /* to be taken up; owned */
};

/* All of them, and what they share. */
struct workers {
    struct worker *worker;
    unsigned count;
    struct limit sessions;           /* by descriptors */
    struct password_pool *passwords; /* owned, as the next */
    struct login_cache *logins;
    uint64_t sessions_wanted;      /* by the configuration's max_connections */
    pthread_mutex_t starting;      /* held until all threads are there */
    bool is_complete;              /* they are; under `starting` */
    void (*ended)(void *context);  /* called in the worker's thread when it ends */
    void (*serves)(void *context); /* likewise, when it serves as the last plan says */
    void *context;
};

/* Prepares `count` workers. False with a message logged. */
bool workers_init(struct workers *workers, unsigned count, const struct config *config);

bool workers_start(struct workers *workers);

/* A plan with room for `count` entries and a reference to the snapshot. NULL without memory. */
struct worker_plan *worker_plan_new(struct snapshot *snapshot, unsigned count);
void worker_plan_free(struct worker_plan *plan);

/* Gives worker `index` a plan, which it owns from now on: sockets that are not in it accept what
 * waits and close, those that are known serve on under the new snapshot, new ones begin. */
void workers_serve(struct workers *workers, unsigned index, struct worker_plan *plan);

void workers_command(struct workers *workers, enum worker_command command);

/* Wakes all so that paused listeners try again. Any thread. */
void workers_resume_listeners(struct workers *workers);

/* Asks all workers to turn; and whether one has done so since, or has ended: so the watchdog knows who hangs. */
void workers_ask(struct workers *workers);
bool worker_has_turned(const struct worker *worker);

/* Stops the workers that still run, waits for their threads and frees everything. */
void workers_done(struct workers *workers);

/* Gives back the place that a connection through this gate had, and wakes who waits for one. */
void worker_give_place(struct worker *worker, struct gate *gate);

/* One more place for a session that needs more descriptors than others; it waits for nothing. False:
 * there is none. */
bool worker_take_more(struct worker *worker);
void worker_give_more(struct worker *worker);

/* Makes worker->datagrams. False without memory. */
bool worker_needs_datagrams(struct worker *worker);

/* For sessions: a worker that drains ends with its last one. */
void worker_session_ended(struct worker *worker);

#endif
