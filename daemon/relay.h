/* relay.h - moves bytes from one stream pair to another, one direction at a time. Knows pairs
 * and buffers, no session, no clock, no log: a scripted pair is as good as a socket. What could
 * not be written at once waits in one block (or in one pipe), and reading stops until it is gone:
 * that is all the memory a direction can take.
 *
 * A direction has two gears. It copies through the worker's scratch buffer; when it keeps filling
 * that and both ends are plain sockets, it splices through a pipe, so that the bytes stay inside
 * the kernel, and comes back to copying when it goes quiet. A direction at rest holds neither.
 *
 * In both it reads no more than its bucket allows, if it has one, and waits when that is empty. */
#ifndef PAIRSOCKS_RELAY_H
#define PAIRSOCKS_RELAY_H

#include "daemon/throttle.h"
#include "streams/buffer.h"
#include "streams/pair.h"
#include "streams/pipe_pool.h"

/* What the directions of one worker share. */
struct relay_tools {
    struct buffer_pool *pool;
    struct pipe_pool *pipes; /* may be NULL */
    uint8_t *scratch;        /* RELAY_SCRATCH bytes */
};

/* A little less than four full TLS records, so that they fit into one packet of the loopback interface: a tail would
 * be a packet of its own each time. Whatever was read and not written finds a place in one block. */
#define RELAY_SCRATCH (64 * 1024 - 256)
_Static_assert(RELAY_SCRATCH <= BUFFER_LARGE, "a block holds what the scratch does");

enum relay_state {
    RELAY_OPEN,
    RELAY_ENDING, /* `from` has ended; what waits is still to be written */
    RELAY_ENDED,  /* and `to` has been told */
};

struct relay_direction {
    struct stream_pair *from, *to;         /* borrowed: the session's */
    const struct relay_direction *reverse; /* borrowed: the same pairs the other way round */
    struct pipe_pair *pipe; /* borrowed from the pool while it splices and bytes are in it */
    struct buffer waiting;  /* read, not yet written */
    int64_t bytes;          /* written to `to` */
    uint8_t state;          /* enum relay_state */
    bool splices;           /* the gear */
    uint8_t full_reads;     /* with one in each turn, while it copies */
    uint8_t small_splices;  /* in a row, while it splices */
    bool small_reads;       /* `to` is slow: read less at a time, so that less has to wait */
    bool is_held;           /* its bucket was empty when it was pumped last */
};

enum relay_result {
    RELAY_IDLE,        /* nothing moved */
    RELAY_MOVED,       /* bytes or an end moved */
    RELAY_READ_FAILED, /* from->error says why */
    RELAY_WRITE_FAILED /* to->error says why */
};

/* Moves what can be moved now, within a budget that is fair to other sessions. `throttle` holds what the
 * direction may read up to now, and is told what it has read; NULL: as much as there is. */
enum relay_result relay_pump(struct relay_direction *direction, const struct relay_tools *tools,
                             struct throttle *throttle);

/* The peer of `to` in the other direction does not take our bytes any more, but may have sent a
 * last word before (a server that refuses an upload): moves what goes at once. An end or a
 * failure that is found there means nothing: the reset that follows says what happened. */
void relay_last_word(struct relay_direction *direction, const struct relay_tools *tools,
                     struct throttle *throttle);

/* Writes what waits, reads nothing. */
enum relay_result relay_flush(struct relay_direction *direction, const struct relay_tools *tools);

/* Gives back what the direction has borrowed; what waits is dropped. */
void relay_release(struct relay_direction *direction, const struct relay_tools *tools);

/* What the direction waits for at its two ends. */
static inline bool relay_wants_write(const struct relay_direction *d)
{
    return buffer_waiting(&d->waiting) > 0 || d->pipe;
}

static inline bool relay_wants_read(const struct relay_direction *d)
{
    return d->state == RELAY_OPEN && !relay_wants_write(d) && !d->is_held;
}

/* It would read, but for its bucket: nothing will happen before throttle_due(). */
static inline bool relay_waits_for_throttle(const struct relay_direction *d)
{
    return d->state == RELAY_OPEN && !relay_wants_write(d) && d->is_held;
}

#endif
