/* snapshot.h - a configuration as it is being served: the checked file together with the gates
 * and whitelists of its listeners. Immutable but for what these count; counted. A session holds
 * the snapshot that it began with; a reload makes the next one. */
#ifndef PAIRSOCKS_SNAPSHOT_H
#define PAIRSOCKS_SNAPSHOT_H

#include "daemon/gate.h"
#include "daemon/login_cache.h"
#include "daemon/tls_setup.h"
#include "daemon/upstream_pool.h"
#include "daemon/whitelist.h"

struct snapshot;

/* One [listener], as the workers see it. */
struct snapshot_listener {
    struct snapshot *snapshot; /* the one it is part of */
    const struct config_listener *config;
    unsigned index;                   /* in config->listeners */
    struct gate *gate;                /* a reference */
    struct whitelist *whitelist;      /* owned */
    struct login_digest users_digest; /* of its users file's content */
    struct tls_names *tls;            /* owned; NULL: plain */
};

struct snapshot {
    atomic_uint references;
    struct config *config; /* a reference */
    struct snapshot_listener *listeners;
    struct tls_context **upstream_tls; /* one for each upstream; NULL: plain */
    struct upstream_pool **pools;      /* likewise; NULL: it is direct */
    uint16_t *ports; /* on which we listen: what the guard keeps clients from reaching through us */
    unsigned port_count;
};

/* Takes over the caller's reference to `config`, also when it fails. Listeners that `previous` (or
 * NULL) has by the same name keep their gates, upstreams what is known of their servers. NULL with the reasons in `errors`: no memory, or a
 * file of TLS that is of no use. */
struct snapshot *snapshot_new(struct config *config, const struct snapshot *previous, FILE *errors);

/* What connections by this way (or NULL: direct) are secured with; NULL: they are plain. */
struct tls_context *snapshot_route_tls(const struct snapshot *snapshot,
                                       const struct config_upstream *route);

/* The servers of a proxy of this snapshot. */
struct upstream_pool *snapshot_pool(const struct snapshot *snapshot,
                                    const struct config_upstream *proxy);

struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot);

/* The listener that this gate is of; NULL: there is none. */
const struct snapshot_listener *snapshot_find_gate(const struct snapshot *snapshot,
                                                   const struct gate *gate);

/* Says in the log what its owner should know about certificates. */
void snapshot_warn(const struct snapshot *snapshot);

/* Of that what time alone brings about: certificates that expire soon. */
void snapshot_warn_expiry(const struct snapshot *snapshot);

/* Before it is served. False without memory. */
bool snapshot_add_port(struct snapshot *snapshot, uint16_t port);
bool snapshot_has_port(const struct snapshot *snapshot, uint16_t port);

#endif
