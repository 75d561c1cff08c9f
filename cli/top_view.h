/* top_view.h - what `top` shows: how the daemon is in one line, and its sessions, those that move most first. Pure
 * but for memory. */
#ifndef PAIRSOCKS_CLI_TOP_VIEW_H
#define PAIRSOCKS_CLI_TOP_VIEW_H

#include "cli/answer.h"

#include <stddef.h>
#include <stdio.h>

/* What the sessions had moved when they were last seen: rates are the difference. All zeros: never. */
struct top_view {
    struct top_bytes *before; /* owned; by id */
    size_t count;
    double at; /* seconds */
};

/* Writes the answers to `status` and `sessions`, which came at `now`, in `rows` lines of `columns` characters (0: as
 * many as it takes), and remembers them for the next time. */
void top_view_print(struct top_view *view, const struct answer *status,
                    const struct answer *sessions, double now, unsigned rows, unsigned columns,
                    FILE *out);
/* The second half of that alone. */
void top_view_remember(struct top_view *view, const struct answer *sessions, double now);

void top_view_done(struct top_view *view);

#endif
