/* spares.h - memory of one size that is needed for a short time by many, one after another. It is kept apart
 * from what is allocated between, which stays longer: a hole of a handshake that a session moved into
 * would be lost to the next handshake. One thread's. */
#ifndef PAIRSOCKS_SPARES_H
#define PAIRSOCKS_SPARES_H

#include <stddef.h>

/* Zeroed, with `size` set (a pointer's at least), it is ready. */
struct spares {
    size_t size;
    struct spare *first; /* owned: given back, and kept */
    unsigned count;
};

/* Zeroed memory of the size. NULL: none. */
void *spares_take(struct spares *spares);

/* NULL is harmless. */
void spares_give(struct spares *spares, void *memory);

void spares_done(struct spares *spares);

#endif
