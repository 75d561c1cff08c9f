/* service_watch.h - keeps the pools of a snapshot that have a `service` in step with its SRV records:
 * asks at once, again when their time to live has passed, and after a failure, more and more rarely. The
 * control plane's loop and thread, with a resolver of its own. */
#ifndef PAIRSOCKS_SERVICE_WATCH_H
#define PAIRSOCKS_SERVICE_WATCH_H

#include "daemon/snapshot.h"
#include "streams/resolver.h"

/* s; what a record says is kept within. */
#define SERVICE_TTL_MIN 1
#define SERVICE_TTL_MAX 3600

struct service_watch;

/* NULL when c-ares or memory fails. Watches nothing yet. */
struct service_watch *service_watch_new(struct ev_loop *loop,
                                        const struct resolver_options *options);

/* Harmless with NULL. */
void service_watch_free(struct service_watch *watch);

/* The snapshot that is served from now on, whose nameservers are asked; it takes a reference. */
void service_watch_follow(struct service_watch *watch, struct snapshot *snapshot);

#endif
