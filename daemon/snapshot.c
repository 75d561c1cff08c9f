/* snapshot.c - putting a snapshot together, and letting it go with its last session. */
#include "daemon/snapshot.h"

#include "daemon/log.h"

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

/* Ticket keys live with the gate: tickets are good over reloads. */
static bool set_up_tls(struct snapshot_listener *listener, FILE *errors)
{
    struct gate *gate = listener->gate;

    if (listener->config->tls.security == SECURITY_NONE)
        return true;
    if (!gate->ticket_keys)
        gate->ticket_keys = tls_ticket_keys_new(gate->name);
    listener->tls =
        tls_setup_listener(listener->snapshot->config, listener->config, gate->ticket_keys, errors);
    return listener->tls;
}

static bool listener_init(struct snapshot *snapshot, unsigned index,
                          const struct snapshot *previous, FILE *errors)
{
    struct snapshot_listener *listener = &snapshot->listeners[index];

    listener->snapshot = snapshot;
    listener->index = index;
    listener->config = &snapshot->config->listeners[index];
    listener->gate = gate_of(previous, listener->config);
    listener->whitelist = whitelist_new(listener->config);
    listener->users_digest = login_digest_of_users(listener->config->users);
    if (!listener->gate || !listener->whitelist) {
        fputs("no memory\n", errors);
        return false;
    }
    return set_up_tls(listener, errors);
}

static struct upstream_pool *previous_pool(const struct snapshot *previous, const char *name)
{
    unsigned count = previous ? previous->config->upstream_count : 0;

    for (unsigned i = 0; i < count; i++)
        if (strcmp(previous->config->upstreams[i].name, name) == 0)
            return previous->pools[i];
    return NULL;
}

static bool pools_init(struct snapshot *snapshot, const struct snapshot *previous, FILE *errors)
{
    const struct config *config = snapshot->config;
    bool good = true;

    snapshot->pools = calloc(config->upstream_count + 1, sizeof(struct upstream_pool *));
    for (unsigned i = 0; snapshot->pools && i < config->upstream_count; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];

        if (upstream->type == UPSTREAM_DIRECT)
            continue;
        snapshot->pools[i] = upstream_pool_new(upstream, previous_pool(previous, upstream->name));
        good = good && snapshot->pools[i];
    }
    if (!snapshot->pools || !good)
        fputs("no memory\n", errors);
    return snapshot->pools && good;
}

static bool upstreams_init(struct snapshot *snapshot, FILE *errors)
{
    const struct config *config = snapshot->config;
    bool good = true;

    snapshot->upstream_tls = calloc(config->upstream_count + 1, sizeof(struct tls_context *));
    if (!snapshot->upstream_tls) {
        fputs("no memory\n", errors);
        return false;
    }
    for (unsigned i = 0; i < config->upstream_count; i++) {
        if (config->upstreams[i].tls.security == SECURITY_NONE)
            continue;
        snapshot->upstream_tls[i] = tls_setup_upstream(config, i, errors);
        good = good && snapshot->upstream_tls[i];
    }
    return good;
}

/* All errors, not only the first. */
static bool snapshot_init(struct snapshot *snapshot, const struct snapshot *previous, FILE *errors)
{
    const unsigned count = snapshot->config->listener_count;
    bool good = true;

    snapshot->listeners = calloc(count, sizeof *snapshot->listeners);
    if (!snapshot->listeners) {
        fputs("no memory\n", errors);
        return false;
    }
    for (unsigned i = 0; i < count; i++)
        good = listener_init(snapshot, i, previous, errors) && good;
    good = pools_init(snapshot, previous, errors) && good;
    return upstreams_init(snapshot, errors) && good;
}

struct snapshot *snapshot_new(struct config *config, const struct snapshot *previous, FILE *errors)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (!snapshot) {
        fputs("no memory\n", errors);
        config_unref(config);
        return NULL;
    }
    atomic_init(&snapshot->references, 1);
    snapshot->config = config;
    if (snapshot_init(snapshot, previous, errors))
        return snapshot;
    snapshot_unref(snapshot);
    return NULL;
}

struct tls_context *snapshot_route_tls(const struct snapshot *snapshot,
                                       const struct config_upstream *route)
{
    return route ? snapshot->upstream_tls[route - snapshot->config->upstreams] : NULL;
}

struct upstream_pool *snapshot_pool(const struct snapshot *snapshot,
                                    const struct config_upstream *proxy)
{
    return snapshot->pools[proxy - snapshot->config->upstreams];
}

static void warn_of_chain(const struct config_tls *tls, const char *section, const char *name)
{
    if (tls->security != SECURITY_NONE && tls->skip_chain)
        log_message(LOG_LEVEL_WARNING, "certificate",
                    "[%s %s] validate_chain = no: anybody's certificate will do", section, name);
}

static bool uses_certificate(const struct config_listener *listener, unsigned index)
{
    for (unsigned i = 0; i < listener->certificate_count; i++)
        if (listener->certificates[i] == index)
            return true;
    return false;
}

/* Nobody has looked at its files. */
static void warn_of_unused(const struct config *config, unsigned index)
{
    for (unsigned i = 0; i < config->listener_count; i++)
        if (uses_certificate(&config->listeners[i], index))
            return;
    log_message(LOG_LEVEL_WARNING, "certificate",
                "[certificate %s] no listener has it in `certificates`",
                config->certificates[index].name);
}

void snapshot_warn(const struct snapshot *snapshot)
{
    const struct config *config = snapshot->config;

    for (unsigned i = 0; i < config->listener_count; i++)
        warn_of_chain(&config->listeners[i].tls, "listener", config->listeners[i].name);
    for (unsigned i = 0; i < config->upstream_count; i++)
        warn_of_chain(&config->upstreams[i].tls, "upstream", config->upstreams[i].name);
    for (unsigned i = 0; i < config->certificate_count; i++)
        warn_of_unused(config, i);
    snapshot_warn_expiry(snapshot);
}

void snapshot_warn_expiry(const struct snapshot *snapshot)
{
    const struct config *config = snapshot->config;

    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        if (!snapshot->listeners[i].tls)
            continue;
        tls_setup_warn(tls_names_find(snapshot->listeners[i].tls, ""), "listener", listener->name);
        for (unsigned j = 0; j < listener->certificate_count; j++) {
            const struct config_certificate *c = &config->certificates[listener->certificates[j]];

            tls_setup_warn(tls_names_find(snapshot->listeners[i].tls, c->names[0]), "certificate",
                           c->name);
        }
    }
    for (unsigned i = 0; i < config->upstream_count; i++)
        if (snapshot->upstream_tls[i])
            tls_setup_warn(snapshot->upstream_tls[i], "upstream", config->upstreams[i].name);
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
        tls_names_free(snapshot->listeners[i].tls);
    }
    for (unsigned i = 0; snapshot->upstream_tls && i < snapshot->config->upstream_count; i++)
        tls_context_unref(snapshot->upstream_tls[i]);
    for (unsigned i = 0; snapshot->pools && i < snapshot->config->upstream_count; i++)
        upstream_pool_free(snapshot->pools[i]);
    free(snapshot->pools);
    free(snapshot->upstream_tls);
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
