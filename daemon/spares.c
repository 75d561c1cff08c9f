/* spares.c - a list of what was given back. */
#include "daemon/spares.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 64 };

struct spare {
    struct spare *next;
};

void *spares_take(struct spares *spares)
{
    struct spare *spare = spares->first;

    if (!spare)
        return calloc(1, spares->size);
    spares->first = spare->next;
    spares->count--;
    return memset(spare, 0, spares->size);
}

void spares_give(struct spares *spares, void *memory)
{
    struct spare *spare = memory;

    if (!spare || spares->count >= KEPT_MAX) {
        free(spare);
        return;
    }
    spare->next = spares->first;
    spares->first = spare;
    spares->count++;
}

void spares_done(struct spares *spares)
{
    while (spares->first) {
        struct spare *spare = spares->first;

        spares->first = spare->next;
        free(spare);
    }
    spares->count = 0;
}
