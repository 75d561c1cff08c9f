/* throttle.c - thousandths of a byte, so that a millisecond brings exactly `rate` of them. */
#include "daemon/throttle.h"

enum { PIECE_MIN = 256 };

static int64_t at_least(int64_t bytes, int64_t least)
{
    return bytes > least ? bytes : least;
}

static int64_t capacity(const struct throttle *t)
{
    return 1000 * at_least(t->rate * THROTTLE_BURST_MS / 1000, THROTTLE_BURST_MIN);
}

static int64_t piece(const struct throttle *t)
{
    return 1000 * at_least(t->rate * THROTTLE_BURST_MS / 2000, PIECE_MIN);
}

void throttle_init(struct throttle *t, int64_t rate, uint64_t now)
{
    *t = (struct throttle){.rate = rate, .filled = now};
    t->level = capacity(t);
}

void throttle_fill(struct throttle *t, uint64_t now)
{
    uint64_t passed = now - t->filled, until_full = (uint64_t)((capacity(t) - t->level) / t->rate);

    t->filled = now;
    t->level = passed > until_full ? capacity(t) : t->level + (int64_t)passed * t->rate;
    if (t->level >= piece(t))
        t->is_empty = false;
}

size_t throttle_allows(const struct throttle *t)
{
    return t->is_empty ? 0 : (size_t)(t->level / 1000);
}

void throttle_take(struct throttle *t, size_t n)
{
    t->level -= (int64_t)n * 1000;
    if (t->level < 1000)
        t->is_empty = true;
}

uint64_t throttle_due(const struct throttle *t)
{
    if (!t->is_empty || t->level >= piece(t))
        return t->filled;
    return t->filled + (uint64_t)((piece(t) - t->level + t->rate - 1) / t->rate);
}

bool throttle_pass(struct throttle *t, size_t n, uint64_t now)
{
    throttle_fill(t, now);
    if (t->level <= 0)
        return false;
    throttle_take(t, n);
    return true;
}
