/* health_check.h - one check of one server, by the steps of its upstream, through the proxies that it is
 * reached through. On any loop, in its thread. */
#ifndef PAIRSOCKS_HEALTH_CHECK_H
#define PAIRSOCKS_HEALTH_CHECK_H

#include "daemon/dial.h"

struct health_check;

struct health_check_options {
    struct snapshot *snapshot; /* borrowed, as all here but the server */
    const struct config_upstream *upstream;
    struct upstream_server *server; /* it takes a reference */
    struct ev_loop *loop;
    struct resolver *resolver;
    struct buffer_pool *pool;

    /* Called once, never from inside health_check_start(): NULL, or why the server is not good. The
     * check is to be freed by then or later, also from inside. */
    void (*finished)(void *context, struct health_check *check, const char *why);
    void *context;
};

/* NULL: no memory. */
struct health_check *health_check_start(const struct health_check_options *options);

/* Ends it, if it still runs, without a call. Harmless with NULL. */
void health_check_free(struct health_check *check);

struct upstream_server *health_check_server(const struct health_check *check);

#endif
