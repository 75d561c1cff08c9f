/* limits.c - counting places. */
#include "daemon/limits.h"

/* A session has a descriptor to its client and one to its target. */
enum { FILES_A_SESSION = 2 };

void limit_init(struct limit *limit, uint64_t max)
{
    atomic_init(&limit->max, max);
    atomic_init(&limit->used, 0);
    atomic_init(&limit->starved, false);
}

static bool was_starved(struct limit *limit)
{
    return atomic_load(&limit->starved) && atomic_exchange(&limit->starved, false);
}

bool limit_set_max(struct limit *limit, uint64_t max)
{
    atomic_store(&limit->max, max);
    return was_starved(limit);
}

static bool try_take(struct limit *limit)
{
    uint64_t used = atomic_load(&limit->used);

    /* Never above the bound, not even for a moment: another thread would take it for full. */
    while (used < atomic_load_explicit(&limit->max, memory_order_relaxed))
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
    return was_starved(limit);
}

uint64_t limit_sessions_for_files(uint64_t files, uint64_t fixed)
{
    return files >= fixed + FILES_A_SESSION ? (files - fixed) / FILES_A_SESSION : 1;
}
