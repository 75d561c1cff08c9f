/* bind_ports.h - the ports of some ranges in an order that nobody can foresee: who could would be at the
 * port before the peer that it is opened for. Pure: the random number is the caller's. */
#ifndef PAIRSOCKS_BIND_PORTS_H
#define PAIRSOCKS_BIND_PORTS_H

#include "config/config.h"

/* A walk from anywhere, in steps of anything that has no divisor in common with the number of ports: it
 * comes by each once. */
struct bind_walk {
    const struct port_range *ranges; /* borrowed */
    unsigned range_count;
    uint32_t total, at, step, left;
};

/* Of any number of ranges. */
void bind_walk_init(struct bind_walk *walk, const struct port_range *ranges, unsigned count,
                    uint64_t random);

/* The next port; a port that is in several ranges comes several times. 0: that was all. */
uint16_t bind_walk_next(struct bind_walk *walk);

#endif
