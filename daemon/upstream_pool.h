/* upstream_pool.h - the servers of one upstream, and which of them is tried next. Part of a snapshot;
 * a reload makes new pools, which take over the servers that stay with all that is known of them.
 * Any thread: the list, which changes only where it comes from SRV records, is behind a short lock.
 * Pure but for memory. */
#ifndef PAIRSOCKS_UPSTREAM_POOL_H
#define PAIRSOCKS_UPSTREAM_POOL_H

#include "config/config.h"
#include "daemon/upstream_server.h"
#include "streams/error.h"

struct upstream_pool;

/* Where an SRV record points (RFC 2782). */
struct upstream_record {
    const char *host;
    uint16_t port, priority, weight;
};

/* Servers of `previous` (or NULL), which had the same name, stay. One of a `service` begins with what
 * the previous one knew, or with nothing. NULL without memory. */
struct upstream_pool *upstream_pool_new(const struct config_upstream *upstream,
                                        struct upstream_pool *previous);
void upstream_pool_free(struct upstream_pool *pool); /* harmless with NULL */

/* Asked who is to be tried next. */
struct upstream_choice {
    uint64_t now;                    /* ms */
    const struct ip_address *client; /* of `balance = source` */
    struct upstream_server *const *tried;
    unsigned tried_count;
    bool usable_only; /* NULL rather than one that is set aside */
};

/* The server to be tried next, entered and with a reference: see upstream_server_release(). Among those
 * that were not tried: the usable ones of the highest priority, as `balance` has it; if none is
 * usable, the one whose pause ends first. NULL: all were tried, or there is none. */
struct upstream_server *upstream_pool_pick(struct upstream_pool *pool,
                                           const struct upstream_choice *choice);

/* Leaves it and gives the reference back. Harmless with NULL. */
void upstream_server_release(struct upstream_server *server);

/* The list is not known yet: its service was asked for, and no answer has come. */
bool upstream_pool_is_pending(struct upstream_pool *pool);

/* Why the list is not known, if the first answers were none. */
struct stream_error upstream_pool_error(struct upstream_pool *pool);

/* SRV: the list from now on; duplicates are one. False without memory: it stays as it was. */
bool upstream_pool_set(struct upstream_pool *pool, const struct upstream_record *records,
                       unsigned count);

/* SRV: no answer. The list stays as it was. */
void upstream_pool_set_error(struct upstream_pool *pool, struct stream_error error);

/* References to all servers; the caller gives them back and frees the array. */
struct upstream_server **upstream_pool_servers(struct upstream_pool *pool, unsigned *ret_count);

#endif
