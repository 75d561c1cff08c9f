/* health.h - checks the servers of the upstreams that say so (`check_interval`), and tells their pools.
 * The control plane's loop and thread, with a resolver of its own. */
#ifndef PAIRSOCKS_HEALTH_H
#define PAIRSOCKS_HEALTH_H

#include "daemon/snapshot.h"
#include "streams/resolver.h"

/* Checks that run at a time, at most: a server whose turn it is waits for the next round if need be. */
#define HEALTH_CHECKS_MAX 32

struct health;

/* NULL when c-ares or memory fails. Checks nothing yet. */
struct health *health_new(struct ev_loop *loop, const struct resolver_options *options);
void health_free(struct health *health); /* harmless with NULL */

/* The snapshot that is served from now on, whose nameservers are asked; it takes a reference. All its
 * servers are checked at once, and then in their time. */
void health_follow(struct health *health, struct snapshot *snapshot);

#endif
