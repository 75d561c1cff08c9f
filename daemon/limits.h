/* limits.h - how many sessions there may be: numbers that all workers count together, with
 * atomics and no lock. A place is reserved before a connection is accepted and given back when
 * its session ends. A worker that finds no place stops accepting; whoever gives a place back
 * then learns that others wait for it. */
#ifndef PAIRSOCKS_LIMITS_H
#define PAIRSOCKS_LIMITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct limit {
    uint64_t max;
    _Atomic uint64_t used;
    atomic_bool starved; /* somebody found no place */
};

/* What one listener allows. The queue is divided among the workers, so that each can make room by
 * itself: a crowd that fills one worker's share keeps nobody out of another's. */
struct listener_limits {
    struct limit sessions;
    struct limit *waiting; /* owned; one for each worker: sessions whose request is not complete */
    _Atomic uint64_t queue_closed; /* clients closed because the queue was full */
};

/* False without memory. Each worker gets its part of `queue`, at least one. */
bool listener_limits_init(struct listener_limits *limits, uint64_t sessions, uint64_t queue,
                          unsigned workers);
void listener_limits_done(struct listener_limits *limits);

void limit_init(struct limit *limit, uint64_t max);

/* Takes a place. False: there is none, and `starved` is set. */
bool limit_take(struct limit *limit);

/* Gives a place back. True: somebody waits for one and should be told; said to one caller only. */
bool limit_give(struct limit *limit);

/* How many sessions the descriptor limit allows. `fixed`: descriptors that the daemon itself
 * needs, now and for DNS, logs and reloads. At least one. */
uint64_t limit_sessions_for_files(uint64_t files, uint64_t fixed);

#endif
