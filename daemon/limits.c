/* limits.c - counting places. */
#include "daemon/limits.h"

#include <stdlib.h>

/* A session has a descriptor to its client and one to its target. */
enum { FILES_A_SESSION = 2 };

void limit_init(struct limit *limit, uint64_t max)
{
    limit->max = max;
    atomic_init(&limit->used, 0);
    atomic_init(&limit->starved, false);
}

bool listener_limits_init(struct listener_limits *limits, uint64_t sessions, uint64_t queue,
                          unsigned workers)
{
    uint64_t share = queue / workers ? queue / workers : 1;

    limits->waiting = calloc(workers, sizeof *limits->waiting);
    if (!limits->waiting)
        return false;
    limit_init(&limits->sessions, sessions);
    for (unsigned i = 0; i < workers; i++)
        limit_init(&limits->waiting[i], share);
    return true;
}

void listener_limits_done(struct listener_limits *limits)
{
    free(limits->waiting);
    limits->waiting = NULL;
}

static bool try_take(struct limit *limit)
{
    uint64_t used = atomic_load(&limit->used);

    /* Never above the bound, not even for a moment: another thread would take it for full. */
    while (used < limit->max)
        if (atomic_compare_exchange_weak(&limit->used, &used, used + 1))
            return true;
    return false;
}

bool limit_take(struct limit *limit)
{
    if (try_take(limit))
        return true;
    /* Say that we wait, then look again: a place that was given back in between would be missed
     * otherwise. */
    atomic_store(&limit->starved, true);
    return try_take(limit);
}

bool limit_give(struct limit *limit)
{
    atomic_fetch_sub(&limit->used, 1);
    return atomic_load(&limit->starved) && atomic_exchange(&limit->starved, false);
}

uint64_t limit_sessions_for_files(uint64_t files, uint64_t fixed)
{
    return files >= fixed + FILES_A_SESSION ? (files - fixed) / FILES_A_SESSION : 1;
}
