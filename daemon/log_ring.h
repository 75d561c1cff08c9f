/* log_ring.h - a bounded queue of bytes from one producing thread to the log's writing thread,
 * without a lock. A line goes in whole or not at all; what did not fit is counted. */
#ifndef PAIRSOCKS_LOG_RING_H
#define PAIRSOCKS_LOG_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define LOG_RING_SIZE (256 * 1024) /* a power of two */

struct log_ring {
    _Atomic size_t head;           /* bytes ever put; written by the producer */
    char pad[64 - sizeof(size_t)]; /* the two ends do not share a cache line */
    _Atomic size_t tail;           /* bytes ever taken; written by the consumer */
    _Atomic uint64_t lost;         /* lines */
    struct log_ring *next;         /* the log's list */
    char bytes[LOG_RING_SIZE];
};

/* Producer. False: full, the line is lost and counted. *ret_used: how much waits now. */
bool log_ring_put(struct log_ring *ring, const char *line, size_t n, size_t *ret_used);

/* Consumer: what waits, in at most two pieces; returns how many. Then log_ring_taken() with how
 * much was used. */
int log_ring_peek(struct log_ring *ring, struct iovec out[2]);
void log_ring_taken(struct log_ring *ring, size_t n);

#endif
