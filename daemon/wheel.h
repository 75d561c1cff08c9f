/* wheel.h - a hierarchical timing wheel (Varghese and Lauck, 1987, scheme 7): many deadlines in milliseconds,
 * each set, moved and dropped in constant time, however many there are. Pure: no clock. One thread. */
#ifndef PAIRSOCKS_WHEEL_H
#define PAIRSOCKS_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64 slots a level: level 0 has a slot for each of 64 ms, level 1 for each 64 of those, and so on, up to
 * all that a uint64_t can tell. */
enum { WHEEL_LEVEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_LEVEL_BITS, WHEEL_LEVELS = 11 };

/* A deadline, inside of what it is for. Zeroed: not set. */
struct wheel_entry {
    struct wheel_entry *next;
    struct wheel_entry **link; /* what points to it; NULL: not set */
    uint64_t due;              /* ms */
};

/* Zeroed: empty, at the time 0. */
struct wheel {
    uint64_t now;                /* ms; how far it has turned */
    uint64_t used[WHEEL_LEVELS]; /* bits: slots that may have something */
    struct wheel_entry *slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct wheel_entry *passed;  /* set when it was due already; or due by the last turn */
    struct wheel_entry *running; /* due, not yet taken */
};

static inline bool wheel_is_set(const struct wheel_entry *entry)
{
    return entry->link != NULL;
}

/* Sets it, or moves it. One that has passed is due at the next turn. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t due);

/* Harmless when it is not set. */
void wheel_clear(struct wheel_entry *entry);

/* Turns to `now`: what is due then can be taken. A `now` before the last one changes nothing but that. */
void wheel_turn(struct wheel *wheel, uint64_t now);

/* One that is due, no longer set; NULL: no more. What is set meanwhile waits for the next turn. */
struct wheel_entry *wheel_take(struct wheel *wheel);

/* When to turn next: never later than the first deadline, and for one that is far away some times before it.
 * UINT64_MAX: nothing is set. */
uint64_t wheel_next(struct wheel *wheel);

#endif
