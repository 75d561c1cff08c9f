/* relay.h - moves bytes from one stream pair to another, one direction at a time. Knows pairs
 * and buffers, no session, no clock, no log: a scripted pair is as good as a socket. What could
 * not be written at once waits in one block, and reading stops until it is gone: that is all the
 * memory a direction can take. */
#ifndef PAIRSOCKS_RELAY_H
#define PAIRSOCKS_RELAY_H

#include "streams/buffer.h"
#include "streams/pair.h"

/* What the directions of one worker share. */
struct relay_tools {
    struct buffer_pool *pool;
    uint8_t *scratch; /* RELAY_SCRATCH bytes */
};

/* As large as the largest block, so that whatever was read and not written finds a place. */
#define RELAY_SCRATCH BUFFER_LARGE

enum relay_state {
    RELAY_OPEN,
    RELAY_ENDING, /* `from` has ended; what waits is still to be written */
    RELAY_ENDED,  /* and `to` has been told */
};

struct relay_direction {
    struct stream_pair *from, *to;         /* borrowed: the session's */
    const struct relay_direction *reverse; /* borrowed: the same pairs the other way round */
    struct buffer waiting;                 /* read, not yet written */
    int64_t bytes;                         /* written to `to` */
    uint8_t state;                         /* enum relay_state */
    bool small_reads; /* `to` is slow: read less at a time, so that less has to wait */
};

enum relay_result {
    RELAY_IDLE,        /* nothing moved */
    RELAY_MOVED,       /* bytes or an end moved */
    RELAY_READ_FAILED, /* from->error says why */
    RELAY_WRITE_FAILED /* to->error says why */
};

/* Moves what can be moved now, within a budget that is fair to other sessions. */
enum relay_result relay_pump(struct relay_direction *direction, const struct relay_tools *tools);

/* The peer of `to` in the other direction does not take our bytes any more, but may have sent a last
 * word before (a server that refuses an upload): moves what goes at once. An end or a failure that is
 * found there means nothing: the reset that follows says what happened. */
void relay_last_word(struct relay_direction *direction, const struct relay_tools *tools);

/* Writes what waits, reads nothing. */
enum relay_result relay_flush(struct relay_direction *direction, const struct relay_tools *tools);

/* What the direction waits for at its two ends. */
static inline bool relay_wants_read(const struct relay_direction *d)
{
    return d->state == RELAY_OPEN && buffer_waiting(&d->waiting) == 0;
}

static inline bool relay_wants_write(const struct relay_direction *d)
{
    return buffer_waiting(&d->waiting) > 0;
}

#endif
