/* deadlines.h - the deadlines of a worker's sessions: a timing wheel on the worker's loop, turned by the one
 * timer that there is for all of them. */
#ifndef PAIRSOCKS_DEADLINES_H
#define PAIRSOCKS_DEADLINES_H

#include "daemon/wheel.h"

#include <ev.h>

struct deadlines {
    struct wheel wheel;
    struct ev_loop *loop;
    const uint64_t *now; /* borrowed: ms, of this turn of the loop */
    ev_timer timer;
    uint64_t next; /* ms; what the timer is set to */
    void (*due)(struct wheel_entry *entry);
};

/* `due` is called for each that is due: no longer set, it may be set again, or go with what it is for. */
void deadlines_init(struct deadlines *deadlines, struct ev_loop *loop, const uint64_t *now,
                    void (*due)(struct wheel_entry *entry));

/* Sets it, or moves it; wheel_clear() drops it. */
void deadlines_set(struct deadlines *deadlines, struct wheel_entry *entry, uint64_t due);

/* Stops the timer. */
void deadlines_done(struct deadlines *deadlines);

#endif
