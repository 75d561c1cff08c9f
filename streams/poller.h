/* poller.h - edge-triggered readiness for the connections of one event loop. A descriptor is told to
 * the kernel once, for everything, and never again until it is closed: the loop's own level-triggered
 * watchers cost a system call whenever what is waited for changes, and wake for what nobody wants.
 *
 * An edge is told once. Who is told keeps it in mind until a call has said AGAIN, and asks with
 * poller_again() to be called in the loop's next turn for what it has not used up.
 *
 * For pairs and for connections that are being made; everything else watches with the loop. A poller
 * belongs to one loop and one thread. */
#ifndef PAIRSOCKS_POLLER_H
#define PAIRSOCKS_POLLER_H

#include "streams/layer.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

/* What a watch is told, beside INTEREST_READ and INTEREST_WRITE. */
enum {
    POLLER_ENDED = 4,  /* the peer has ended, or the connection has failed: reading will find it */
    POLLER_URGENT = 8, /* an urgent byte is on its way: a read may stop in front of it (RFC 6093) */
};

struct poller;
struct poll_watch;

/* `events`: what has come, enum interest and the bits above; 0: poller_again() asked for the call.
 * It may do anything, free the watch included. */
typedef void poll_callback(struct poll_watch *watch, int events);

/* Embedded in who is told, which owns it. */
struct poll_watch {
    struct poller *poller; /* borrowed; NULL: neither added nor asked for a call */
    poll_callback *ready;
    struct poll_watch *next, **at; /* in the line of the next turn; at NULL: not in it */
    uint32_t slot;                 /* 0: not added */
};

/* The poller of this loop: made for the first who asks, freed by poller_unref() of the last. NULL without
 * descriptors or memory. Any thread may ask, but only for a loop that does not run elsewhere. */
struct poller *poller_of(struct ev_loop *loop);
struct poller *poller_ref(struct poller *poller);
void poller_unref(struct poller *poller);

static inline void poll_watch_init(struct poll_watch *watch, poll_callback *ready)
{
    *watch = (struct poll_watch){.ready = ready};
}

/* Watches the descriptor for everything; what it is ready for already is told in the next turn. A second watch of
 * one descriptor takes a copy of it, until it is removed. False with errno: nothing has changed. */
bool poller_add(struct poller *poller, struct poll_watch *watch, int fd);

static inline bool poll_watch_is_added(const struct poll_watch *watch)
{
    return watch->slot != 0;
}

/* `to` is told from now on what `from` was; `from` is as if it had never been added. Costs nothing. */
void poller_move(struct poll_watch *from, struct poll_watch *to);

/* `fd`: the watched descriptor if it stays open (somewhere else, too); -1: it is closed by the caller, which
 * is enough for the kernel. Drops a call that was asked for, too. Harmless when not added. */
void poller_remove(struct poll_watch *watch, int fd);

/* Calls `ready` with 0 in the next turn, before new events; once, however often it is asked for. */
void poller_again(struct poller *poller, struct poll_watch *watch);
void poller_not_again(struct poll_watch *watch);

#endif
