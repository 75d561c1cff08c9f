/* limits.h - how many there may be of something: numbers that all workers count together, with
 * atomics and no lock. A place is reserved before a connection is accepted and given back when
 * its session ends. A worker that finds no place stops accepting; whoever gives a place back
 * then learns that others wait for it. */
#ifndef PAIRSOCKS_LIMITS_H
#define PAIRSOCKS_LIMITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct limit {
    _Atomic uint64_t max;
    _Atomic uint64_t used;
    atomic_bool starved; /* somebody found no place */
};

void limit_init(struct limit *limit, uint64_t max);

/* Sets another bound. A smaller one takes no place away: nobody gets one until enough are given
 * back. True: there may be places now for somebody who waits, as limit_give() has it. */
bool limit_set_max(struct limit *limit, uint64_t max);

/* Takes a place. False: there is none, and `starved` is set. */
bool limit_take(struct limit *limit);

/* Gives a place back. True: somebody waits for one and should be told; said to one caller only. */
bool limit_give(struct limit *limit);

/* How many sessions the descriptor limit allows. `fixed`: descriptors that the daemon itself
 * needs, now and for DNS, logs and reloads. At least one. */
uint64_t limit_sessions_for_files(uint64_t files, uint64_t fixed);

#endif
