/* throttle.h - a token bucket: how many bytes one direction may move now, and when it may move more. A
 * session has one for each of its directions while its rule has a rate (`rate`, pairsocks.ini(5)), a UDP
 * association one for each such rule. Pure: time is passed in, in milliseconds of a clock that never goes
 * back.
 *
 * A stream that has used up its bucket waits until there is enough for a piece, not for the first byte: so
 * one that is busy wakes up some 20 times a second whatever its rate, and one that is silent never. */
#ifndef PAIRSOCKS_THROTTLE_H
#define PAIRSOCKS_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bucket holds what comes in this time, or a small read if that is more; a piece is what comes in half
 * of it. */
enum { THROTTLE_BURST_MS = 100, THROTTLE_BURST_MIN = 2048 };

struct throttle {
    int64_t rate;    /* bytes a second, 1 to CONFIG_RATE_MAX */
    int64_t level;   /* thousandths of a byte; below zero: more was taken than there was */
    uint64_t filled; /* ms */
    bool is_empty;   /* it gives nothing until it holds a piece */
};

/* Full. */
void throttle_init(struct throttle *throttle, int64_t rate, uint64_t now);

/* What has come since the last call; what does not fit is lost. */
void throttle_fill(struct throttle *throttle, uint64_t now);

/* How many bytes may be moved; 0: none before throttle_due(). */
size_t throttle_allows(const struct throttle *throttle);

/* They have been moved; more than was allowed are owed. */
void throttle_take(struct throttle *throttle, size_t n);

/* When it allows something again (ms), of one that allows nothing; in the past of any other. */
uint64_t throttle_due(const struct throttle *throttle);

/* For what cannot be cut to pieces: takes all `n` bytes while there is anything at all, the rest is owed.
 * False, with nothing taken: there is nothing. */
bool throttle_pass(struct throttle *throttle, size_t n, uint64_t now);

#endif
