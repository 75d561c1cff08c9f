/* worker.h - a thread with an event loop, a resolver, pools, and its own listening sockets and
 * sessions. The control plane makes workers, gives them listening sockets, starts them and sends
 * them commands; nothing else crosses threads. */
#ifndef PAIRSOCKS_WORKER_H
#define PAIRSOCKS_WORKER_H

#include "config/config.h"
#include "daemon/limits.h"
#include "daemon/relay.h"
#include "streams/listener.h"

#include <pthread.h>

enum worker_command {
    WORKER_SERVE,
    WORKER_DRAIN, /* no new connections; ends when the last session has */
    WORKER_STOP,  /* resets all sessions and ends */
};

struct session;
struct workers;

/* One address of one listener, as one worker serves it. */
struct worker_listener {
    struct listener listener;
    struct worker *worker;
    const struct config_listener *config; /* borrowed from the snapshot */
    struct listener_limits *limits;       /* borrowed; shared by all workers */
};

struct session_list {
    struct session *first, *last;
};

struct worker {
    struct workers *all; /* borrowed */
    unsigned index;
    pthread_t thread;
    struct ev_loop *loop;
    ev_async wake;
    ev_check clock;
    struct resolver *resolver;
    struct buffer_pool pool;
    struct pipe_pool pipes;
    struct connector_budget attempts; /* beside the first of each connection that is being made */
    struct relay_tools tools;
    struct worker_listener *listeners;
    unsigned listener_count, listener_capacity;
    struct session_list sessions; /* the request is complete */
    struct session_list waiting;  /* it is not yet; the oldest first */
    uint64_t now;                 /* ms, monotonic, of this turn of the loop */
    uint64_t next_id;
    bool closing;       /* its listeners are closed: it ends with its last session */
    atomic_int command; /* enum worker_command */
};

/* All of them, and what they share. */
struct workers {
    struct worker *worker;
    unsigned count;
    struct limit sessions;        /* by descriptors */
    void (*ended)(void *context); /* called in the worker's thread when it ends */
    void *context;
};

/* Prepares `count` workers. False with a message logged. */
bool workers_init(struct workers *workers, unsigned count, const struct config *config,
                  unsigned listener_capacity);

/* Gives worker `index` a listening socket, which it owns from now on. */
void workers_add_listener(struct workers *workers, unsigned index, int fd,
                          const struct config_listener *config, struct listener_limits *limits);

bool workers_start(struct workers *workers);
void workers_command(struct workers *workers, enum worker_command command);

/* Wakes all so that paused listeners try again. Any thread. */
void workers_resume_listeners(struct workers *workers);

/* Stops the workers that still run, waits for their threads and frees everything. */
void workers_done(struct workers *workers);

/* Gives back the place that a connection of this listener had, and wakes who waits for one. */
void worker_give_place(struct worker_listener *listener);

/* For sessions: a worker that drains ends with its last one. */
void worker_session_ended(struct worker *worker);

#endif
