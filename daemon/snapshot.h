/* snapshot.h - a configuration as it is being served: the checked file together with the gates
 * and whitelists of its listeners. Immutable but for what these count; counted. A session holds
 * the snapshot that it began with; a reload makes the next one. */
#ifndef PAIRSOCKS_SNAPSHOT_H
#define PAIRSOCKS_SNAPSHOT_H

#include "daemon/gate.h"
#include "daemon/login_cache.h"
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
};

struct snapshot {
    atomic_uint references;
    struct config *config; /* a reference */
    struct snapshot_listener *listeners;
    uint16_t *ports; /* on which we listen: what the guard keeps clients from reaching through us */
    unsigned port_count;
};

/* Takes over the caller's reference to `config`, also when it fails. Listeners that `previous` (or
 * NULL) has by the same name keep their gates. NULL without memory. */
struct snapshot *snapshot_new(struct config *config, const struct snapshot *previous);

struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot);

/* The listener that this gate is of; NULL: there is none. */
const struct snapshot_listener *snapshot_find_gate(const struct snapshot *snapshot,
                                                   const struct gate *gate);

/* Before it is served. False without memory. */
bool snapshot_add_port(struct snapshot *snapshot, uint16_t port);
bool snapshot_has_port(const struct snapshot *snapshot, uint16_t port);

#endif
