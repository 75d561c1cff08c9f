/* bind_ports.c - walking over ranges of ports. */
#include "daemon/bind_ports.h"

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

static uint32_t length(const struct port_range *range)
{
    return (uint32_t)range->last - range->first + 1;
}

void bind_walk_init(struct bind_walk *walk, const struct port_range *ranges, unsigned count,
                    uint64_t random)
{
    *walk = (struct bind_walk){.ranges = ranges, .range_count = count};
    for (unsigned i = 0; i < count; i++)
        walk->total += length(&ranges[i]);
    walk->left = walk->total;
    if (!walk->total)
        return;
    walk->at = (uint32_t)random % walk->total;
    walk->step = (uint32_t)(random >> 32) % walk->total;
    while (common_divisor(walk->step, walk->total) != 1)
        walk->step++;
}

static uint16_t port_at(const struct bind_walk *walk, uint32_t at)
{
    const struct port_range *range = walk->ranges;

    for (; at >= length(range); range++)
        at -= length(range);
    return (uint16_t)(range->first + at);
}

uint16_t bind_walk_next(struct bind_walk *walk)
{
    uint16_t port;

    if (!walk->left)
        return 0;
    walk->left--;
    port = port_at(walk, walk->at);
    walk->at = (uint32_t)(((uint64_t)walk->at + walk->step) % walk->total);
    return port;
}
