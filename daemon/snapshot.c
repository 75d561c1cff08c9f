/* snapshot.c - putting a snapshot together, and letting it go with its last session. */
#include "daemon/snapshot.h"

#include <stdlib.h>
#include <string.h>

static struct gate *gate_of(const struct snapshot *previous, const struct config_listener *config)
{
    unsigned count = previous ? previous->config->listener_count : 0;

    for (unsigned i = 0; i < count; i++)
        if (strcmp(previous->listeners[i].config->name, config->name) == 0)
            return gate_ref(previous->listeners[i].gate);
    return gate_new(config);
}

static bool listener_init(struct snapshot *snapshot, unsigned index,
                          const struct snapshot *previous)
{
    struct snapshot_listener *listener = &snapshot->listeners[index];

    listener->snapshot = snapshot;
    listener->index = index;
    listener->config = &snapshot->config->listeners[index];
    listener->gate = gate_of(previous, listener->config);
    listener->whitelist = whitelist_new(listener->config);
    listener->users_digest = login_digest_of_users(listener->config->users);
    return listener->gate && listener->whitelist;
}

struct snapshot *snapshot_new(struct config *config, const struct snapshot *previous)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (!snapshot) {
        config_unref(config);
        return NULL;
    }
    atomic_init(&snapshot->references, 1);
    snapshot->config = config;
    snapshot->listeners = calloc(config->listener_count, sizeof *snapshot->listeners);
    for (unsigned i = 0; snapshot->listeners && i < config->listener_count; i++) {
        if (!listener_init(snapshot, i, previous)) {
            snapshot_unref(snapshot);
            return NULL;
        }
    }
    if (!snapshot->listeners) {
        snapshot_unref(snapshot);
        return NULL;
    }
    return snapshot;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_unref(struct snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; snapshot->listeners && i < snapshot->config->listener_count; i++) {
        gate_unref(snapshot->listeners[i].gate);
        whitelist_free(snapshot->listeners[i].whitelist);
    }
    free(snapshot->listeners);
    free(snapshot->ports);
    config_unref(snapshot->config);
    free(snapshot);
}

const struct snapshot_listener *snapshot_find_gate(const struct snapshot *snapshot,
                                                   const struct gate *gate)
{
    for (unsigned i = 0; i < snapshot->config->listener_count; i++)
        if (snapshot->listeners[i].gate == gate)
            return &snapshot->listeners[i];
    return NULL;
}

bool snapshot_add_port(struct snapshot *snapshot, uint16_t port)
{
    uint16_t *more;

    if (snapshot_has_port(snapshot, port))
        return true;
    more = realloc(snapshot->ports, (snapshot->port_count + 1) * sizeof *more);
    if (!more)
        return false;
    snapshot->ports = more;
    more[snapshot->port_count++] = port;
    return true;
}

bool snapshot_has_port(const struct snapshot *snapshot, uint16_t port)
{
    for (unsigned i = 0; i < snapshot->port_count; i++)
        if (snapshot->ports[i] == port)
            return true;
    return false;
}
