/* floor.h - what the bare relay (floor.c) and its gears share. A session is two legs; a direction
 * is named by the leg that it reads from. A gear is a way to carry bytes from one leg to the other;
 * the relay picks none by itself: its command line names one.
 *
 * Events are edge-triggered: `readable` and `writable` say what the kernel has said and no call has
 * taken back, so a gear goes on until a call would block or the budget of one turn is used up. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes that one read asks for */
#define FLOOR_CHUNK (64 << 10)
/* reads of a direction in one turn: the others' turn comes then */
#define FLOOR_BUDGET 16

struct leg {
    int fd; /* -1: closed */
    bool readable, writable;
    bool hung_up;      /* its peer has ended: a short read is not the last one */
    bool ended;        /* all that its peer sent was read */
    bool passed_on;    /* ... and written to the other leg, with the end */
    struct leg *other; /* borrowed: the same session's */
    uint8_t *rest;     /* owned; read here, not yet taken by the other leg */
    size_t rest_at, rest_n;
    void *gear; /* what the gear keeps for the direction from here */
};

struct session {
    struct leg client, target;
    struct session *next; /* in the list of those that had no end of their turn, or of the ended */
    bool waits_for_turn;
    uint8_t phase;
    uint8_t reply_size; /* bytes that the relay itself says to the client, after gear->open */
};

/* OK: nothing more can be done now. TURN: the budget is used up. BROKEN: the session is to end at
 * once. */
enum moved { MOVED_OK, MOVED_TURN, MOVED_BROKEN };

struct gear {
    const char *name;
    /* Once, with the words of the command line behind the gear's name (NULL: it takes none); ends
     * the process when the kernel does not allow it. Returns how many words it took. */
    int (*begin)(char **words);
    /* A session's two legs stand, before the client hears of it. NULL: nothing to do. */
    bool (*open)(struct session *);
    /* Carries what it can from `from`, which has no rest, to the other leg. Sets from->ended when
     * all was read, and from->passed_on when the other leg was told. */
    enum moved (*move)(struct leg *from);
    /* Gives back what it keeps; the descriptors are still open. NULL: nothing. */
    void (*close)(struct session *);
    /* After SIGTERM: a line about what was seen. NULL: there is none. */
    void (*say)(void);
};

extern const struct gear gear_copy, gear_splice;
/* Each is at address 0 where it is not linked. */
extern const struct gear gear_tls __attribute__((weak));
extern const struct gear gear_zerocopy __attribute__((weak));
extern const struct gear gear_sockmap __attribute__((weak));

/* Of one thread: what is in it is gone after the next call of a gear. */
extern uint8_t floor_scratch[FLOOR_CHUNK];

/* Reads at most `max` bytes: > 0, or 0 when nothing came (then `readable` or `ended` was set), or
 * -1. */
long leg_read(struct leg *from, void *ret_bytes, size_t max);

/* Writes `n` bytes; what the socket does not take becomes from->rest, of the direction that comes
 * from `from`. False: the session is broken. */
bool leg_pass(struct leg *from, const void *bytes, size_t n);

/* After `ended`, when nothing is left: ends the other leg's direction. */
void leg_pass_end(struct leg *from);

/* Ends the process with status 1 and a line on stderr. */
void floor_die(const char *what) __attribute__((noreturn));

#endif
